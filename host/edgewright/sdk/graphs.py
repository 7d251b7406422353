"""Graphs of models in any format: layers by name, groups that stay in floats, and how outputs are quantised."""

from __future__ import annotations

from edgewright.compile.graph.clipped_ranges import narrowed
from edgewright.compile.graph.float_groups import (
    ENDS,
    FILLS,
    LARGE,
    MASKING,
    MASKS,
    POWERS,
    FloatGroup,
    groups,
    in_doubt,
    least_share,
    may_fill,
    spread,
)
from edgewright.compile.graph.layers import no_such_layer
from edgewright.compile.graph.operations import Operation
from edgewright.compile.graph.output_tails import Graph, Move, Tail, affine, tail
from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.compile.sources.names import clean

__all__ = [
    "ENDS",
    "FILLS",
    "LARGE",
    "MASKING",
    "MASKS",
    "POWERS",
    "FloatGroup",
    "Graph",
    "Move",
    "Operation",
    "Tail",
    "affine",
    "clean",
    "groups",
    "in_doubt",
    "least_share",
    "may_fill",
    "narrowed",
    "no_such_layer",
    "spread",
    "sqnr_db",
    "tail",
]
