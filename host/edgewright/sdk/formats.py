"""Source formats: their record, the result of inspecting a file, and how dynamic shapes become static."""

from __future__ import annotations

from edgewright.compile.sources.names import clean, given_shapes, unique
from edgewright.compile.sources.shapes import Axes, Axis, StaticShapes, static_shapes
from edgewright.compile.sources.source_format import Look, OpenAxes, Shapes, SourceFormat, truncated

__all__ = [
    "Axes",
    "Axis",
    "Look",
    "OpenAxes",
    "Shapes",
    "SourceFormat",
    "StaticShapes",
    "clean",
    "given_shapes",
    "static_shapes",
    "truncated",
    "unique",
]
