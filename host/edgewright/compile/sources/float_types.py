"""Finds the float types other than float32 that a source computes in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

HALF, BRAIN, DOUBLE = "float16", "bfloat16", "float64"
WIDE = "float32"
_TENSORFLOW = {19: HALF, 14: BRAIN, 2: DOUBLE}  # by tensorflow.DataType
_ONNX = {10: HALF, 16: BRAIN, 11: DOUBLE}  # by onnx.TensorProto.DataType


def narrowest(kinds: Sequence[str]) -> str:
    """The type with the fewest digits; `float32` if none is narrower."""
    return next((kind for kind in (BRAIN, HALF) if kind in kinds), WIDE)


def of_graph_def(graph_def: Any) -> list[str]:
    """The types in a TensorFlow graph, including its functions, sorted."""
    found = {kind for node in graph_nodes(graph_def) for item in node.attr.values() for kind in _types(item)}
    return sorted(_TENSORFLOW[kind] for kind in found & set(_TENSORFLOW))


def graph_nodes(graph_def: Any) -> Iterator[Any]:
    """The nodes of a GraphDef and of its functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def of_onnx(model: Any) -> list[str]:
    """The types of an ONNX graph's weights, inputs and outputs, sorted."""
    graph = model.graph
    found = {item.data_type for item in graph.initializer}
    found |= {item.type.tensor_type.elem_type for item in (*graph.input, *graph.output)}
    return sorted(_ONNX[kind] for kind in found & set(_ONNX))


def of_torch(module: Any, inputs: Sequence[str]) -> list[str]:
    """The types of a PyTorch module's weights and inputs, sorted.

    Args:
        inputs: dtypes of its inputs.
    """
    held = {str(item.dtype).removeprefix("torch.") for item in (*module.parameters(), *module.buffers())}
    return sorted({*held, *inputs} & {HALF, BRAIN, DOUBLE})


def _types(attribute: Any) -> Iterator[int]:
    which = attribute.WhichOneof("value")
    if which == "type":
        yield attribute.type
    elif which == "tensor":
        yield attribute.tensor.dtype
    elif which == "list":
        yield from attribute.list.type
