"""TensorFlow graphs and Keras models as sources. In the `tensorflow` worker."""

from __future__ import annotations

from edgewright.compile import source_graphs
from edgewright.compile.sources import graph, narrow
from edgewright.compile.sources.narrow import graph_nodes

__all__ = ["graph", "graph_nodes", "narrow", "source_graphs"]
