"""The weights of an ONNX layer by their output and input channels: how large they are, and how they are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.onnx.graph import Graph, attribute
from edgewright.compress.onnx.layers import Layer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_EPSILON = 1e-5  # of BatchNormalization, unless it says otherwise
_VARIANCE = 4  # its input


class LayerWeights:
    """The layers of a graph as `channel_flow.ScalableLayers`."""

    def __init__(self, graph: Graph, layers: Mapping[str, Layer]) -> None:
        self._graph, self._layers = graph, layers

    def made_range(self, layer: str) -> Array:
        """See `ScalableLayers`."""
        found: Array = self._folded(self._layers[layer]).max(axis=(2, 3), initial=0.0).reshape(-1)
        return found

    def read_range(self, layer: str) -> Array:
        """See `ScalableLayers`."""
        found: Array = self._folded(self._layers[layer]).max(axis=(1, 3), initial=0.0).reshape(-1)
        return found

    def divide(self, layer: str, factors: Array) -> None:
        """See `ScalableLayers`."""
        graph, one = self._graph, self._layers[layer]
        if one.gain is None:
            weights = _grouped(one, graph.values(one.weights)) / factors.reshape(one.groups, -1, 1, 1)
            graph.write(one.weights, _restored(one, weights))
        for node, index in filter(None, (one.gain, one.bias)):
            values = graph.values(node.input[index])
            graph.write_input(node, index, values / factors.reshape(values.shape))

    def multiply(self, layer: str, factors: Array) -> None:
        """See `ScalableLayers`."""
        one = self._layers[layer]
        weights = _grouped(one, self._graph.values(one.weights)) * factors.reshape(one.groups, 1, -1, 1)
        self._graph.write(one.weights, _restored(one, weights))

    def _folded(self, layer: Layer) -> Array:
        """|weights| as `_grouped` has them, float64, as converters fold the batch normalisation into them."""
        import numpy as np

        found: Array = np.abs(_grouped(layer, self._graph.values(layer.weights)).astype(np.float64))
        if layer.gain is None:
            return found
        node, index = layer.gain
        scale = np.abs(self._graph.values(node.input[index]).astype(np.float64))
        if node.op_type == "BatchNormalization":
            variance = self._graph.values(node.input[_VARIANCE]).astype(np.float64)
            scale /= np.sqrt(variance + attribute(node, "epsilon", _EPSILON))
        folded: Array = found * scale.reshape(layer.groups, -1, 1, 1)
        return folded


def _grouped(layer: Layer, values: Array) -> Array:
    """Weights as (groups, output channels of a group, input channels of a group, positions)."""
    if layer.spec.kind == "dense":
        return (values if layer.spec.outputs == 0 else values.T)[None, ..., None]
    given = values.reshape(layer.groups, values.shape[0] // layer.groups, values.shape[1], -1)
    return given.swapaxes(1, 2) if layer.nodes[0].op_type == "ConvTranspose" else given


def _restored(layer: Layer, grouped: Array) -> Array:
    """The inverse of `_grouped`."""
    if layer.spec.kind == "dense":
        return grouped[0, ..., 0] if layer.spec.outputs == 0 else grouped[0, ..., 0].T
    given = grouped.swapaxes(1, 2) if layer.nodes[0].op_type == "ConvTranspose" else grouped
    return given.reshape(layer.spec.shape)
