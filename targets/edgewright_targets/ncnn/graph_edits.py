"""Reads shapes from an ONNX graph, and adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def replace_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    """Replaces all nodes of the graph, in place."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def fixed_shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """{tensor: its shape}, for tensors of 32-bit floats with a fixed shape."""
    import onnx

    graph, found = onnx.shape_inference.infer_shapes(model).graph, {}
    for item in (*graph.input, *graph.value_info, *graph.output):
        kind = item.type.tensor_type
        sizes = [axis.dim_value for axis in kind.shape.dim]
        if kind.elem_type == onnx.TensorProto.FLOAT and sizes and all(sizes):
            found[item.name] = tuple(sizes)
    return found | {item.name: tuple(item.dims) for item in graph.initializer}


def constant(model: ModelProto, name: str, values: Any, dtype: str) -> str:
    """Adds an initialiser; returns its name."""
    import numpy as np
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype), name))
    return name
