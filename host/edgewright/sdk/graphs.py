"""Graphs of models, whatever their format: layers by name, groups that stay in floats, how outputs are rounded."""

from __future__ import annotations

from edgewright.compile.float_groups import (
    ENDS,
    FILLS,
    LARGE,
    MASKING,
    MASKS,
    FloatGroup,
    groups,
    in_doubt,
    least_share,
    may_fill,
    spread,
)
from edgewright.compile.layers import no_such_layer
from edgewright.compile.operations import Operation
from edgewright.compile.sources.names import clean
from edgewright.compile.tails import Graph, Move, Tail, affine, tail
from edgewright.compile.verdict.figures import sqnr_db

__all__ = [
    "ENDS",
    "FILLS",
    "LARGE",
    "MASKING",
    "MASKS",
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
    "no_such_layer",
    "spread",
    "sqnr_db",
    "tail",
]
