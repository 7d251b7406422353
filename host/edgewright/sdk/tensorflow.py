"""TensorFlow graphs and Keras models as sources. Runs in the `tensorflow` worker."""

from __future__ import annotations

from edgewright.compile.graph import source_graphs
from edgewright.compile.sources import float_types, graph
from edgewright.compile.sources.float_types import graph_nodes

__all__ = ["float_types", "graph", "graph_nodes", "source_graphs"]
