"""Makes inputs that are indexes of tables 64-bit: pnnx runs the model on zeros of that type, but on random memory of 32 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def widen(model: ModelProto) -> None:
    """Changes, in place, integer inputs that only Gather reads as indexes, and drops conversions between integers before it."""
    from onnx import TensorProto

    graph = model.graph
    _drop_conversions(model)
    for item in graph.input:
        readers = [node for node in graph.node if item.name in node.input]
        kind = item.type.tensor_type.elem_type
        if kind == TensorProto.INT32 and all(_indexes_by(node, item.name) for node in readers):
            item.type.tensor_type.elem_type = TensorProto.INT64


def _drop_conversions(model: ModelProto) -> None:
    """Lets Gather read integer inputs directly."""
    from onnx import TensorProto

    integers = (TensorProto.INT32, TensorProto.INT64)
    graph = model.graph
    inputs = {item.name for item in graph.input if item.type.tensor_type.elem_type in integers}
    dropped: dict[str, str] = {}
    for node in graph.node:
        readers = [other for other in graph.node if node.output[0] in other.input]
        if (
            node.op_type == "Cast"
            and node.input[0] in inputs
            and readers
            and all(_indexes_by(other, node.output[0]) for other in readers)
        ):
            dropped[node.output[0]] = node.input[0]
    kept = [node for node in graph.node if node.output[0] not in dropped]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    for node in copies:
        node.input[:] = [dropped.get(name, name) for name in node.input]
    del graph.node[:]
    graph.node.extend(copies)


def _indexes_by(node: NodeProto, name: str) -> bool:
    """Whether a node uses a tensor as indexes of a table, and for nothing else."""
    return bool(node.op_type == "Gather" and node.input[1] == name and node.input[0] != name)
