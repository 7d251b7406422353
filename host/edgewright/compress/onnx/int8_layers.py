"""Finds the layers of a network in the int8 model that was made of it. Quantisers fold what follows a layer into it, and drop a Relu, whose
result's name the output of the layer then has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.onnx import channel_means
from edgewright.compress.onnx.graph import Graph
from edgewright.compress.onnx.layers import CONVOLUTIONS, DENSE, Layer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_ROUNDING = ("QuantizeLinear", "DequantizeLinear")
_DROPPED = ("Relu", "Clip")  # where the range of an int8 tensor does the same
_OF_SEQUENCES = "/MatMulAddFusion"  # a Gemm between two Reshapes
_BIAS = 2  # input of a convolution or dense layer
_INT32 = 2**31 - 1


def tensors(
    model: Any, graph: Graph, layers: Mapping[str, Layer]
) -> dict[str, tuple[Layer, tuple[str, ...]]]:
    """As `channel_means.tensors`, without layers that the int8 model has no such tensor of.

    Args:
        graph: of the float network.
    """
    makers, found = _makers(model), {}
    for name, (layer, wanted) in channel_means.tensors(layers).items():
        places = []
        for tensor, node in zip(wanted, layer.nodes, strict=True):
            maker, there = makers.get(tensor), _node(model, layer, node.name)
            if maker is not None and maker.op_type not in _ROUNDING:
                places.append(tensor)
            elif there is not None and _is_tensor(graph, tensor, there):
                places.append(there.output[0])
        if len(places) == len(wanted):
            found[name] = layer, tuple(places)
    return found


def _is_tensor(graph: Graph, tensor: str, there: Any) -> bool:
    """Whether a layer's node in the int8 model makes a tensor under another name, and nothing more is folded into it than makes that."""
    made = there.output[0]
    dropped = graph.makers.get(made)
    if dropped is not None:
        return bool(dropped.op_type in _DROPPED and dropped.input[0] == tensor)
    return bool(made == f"{tensor}_QuantizeLinear_Input" or there.name.endswith(_OF_SEQUENCES))


def shift_bias(model: Any, layer: Layer, shift: Array) -> bool:
    """Adds to a layer's int32 bias in the int8 model, in place; False if it has none there, or one that others read too.

    Args:
        layer: one that `tensors` knows: nothing is folded behind its bias.
        shift: real values, shape (channels,).
    """
    import numpy as np
    from onnx import numpy_helper

    node = _node(model, layer, layer.nodes[0].name)
    if node is None or len(node.input) <= _BIAS:
        return False
    rounding = _makers(model).get(node.input[_BIAS])
    held = {item.name: item for item in model.graph.initializer}
    readers = [one for one in model.graph.node for name in one.input if name == node.input[_BIAS]]
    if rounding is None or len(readers) > 1 or not all(name in held for name in rounding.input[:2]):
        return False
    bias, scale = (numpy_helper.to_array(held[name]) for name in rounding.input[:2])
    if bias.dtype != np.int32 or bias.shape != shift.shape:
        return False
    moved = np.clip(np.rint(bias + shift / scale), -_INT32, _INT32).astype(np.int32)
    held[rounding.input[0]].CopyFrom(numpy_helper.from_array(moved, rounding.input[0]))
    return True


def _node(model: Any, layer: Layer, name: str) -> Any:
    """The node of a layer: under its name, or with its weights."""
    weights = f"{layer.weights}_DequantizeLinear_Output"
    named = [node for node in model.graph.node if node.name == name]
    weighted = [
        node for node in model.graph.node if node.op_type in CONVOLUTIONS + DENSE and node.input[1] == weights
    ]
    return next(iter(named + weighted), None)


def _makers(model: Any) -> dict[str, Any]:
    return {name: node for node in model.graph.node for name in node.output}
