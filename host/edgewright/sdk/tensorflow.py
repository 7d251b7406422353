"""TensorFlow graphs and Keras models as sources. In the `tensorflow` worker."""

from __future__ import annotations

from edgewright.compile import source_graphs
from edgewright.compile.sources import graph, narrow

__all__ = ["graph", "narrow", "source_graphs"]
