"""Prepares inputs that are indexes of tables for pnnx, which runs the model once.

It fills 64-bit indexes with a small number, but takes 32-bit ones from uninitialised memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets.ncnn.graph_edits import replace_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LEAST_ROWS = 8  # pnnx asks for row 7


def widen(model: ModelProto) -> None:
    """Turns integer inputs that only Gather reads into 64-bit indexes, in place, and lengthens short tables."""
    from onnx import TensorProto

    graph = model.graph
    _drop_conversions(model)
    for item in graph.input:
        readers = [node for node in graph.node if item.name in node.input]
        kind = item.type.tensor_type.elem_type
        if kind == TensorProto.INT32 and all(_indexes_by(node, item.name) for node in readers):
            item.type.tensor_type.elem_type = TensorProto.INT64
    _lengthen_tables(model)


def _lengthen_tables(model: ModelProto) -> None:
    """Appends rows of zeros to short tables that inputs index. A negative index would read them: `integer_ends` refuses those."""
    import numpy as np
    from onnx import numpy_helper

    graph = model.graph
    inputs, tables = {item.name for item in graph.input}, {item.name: item for item in graph.initializer}
    for node in graph.node:
        axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
        if node.op_type != "Gather" or axis or node.input[0] not in tables or node.input[1] not in inputs:
            continue
        del node.attribute[:]  # pnnx refuses the axis, although it is the default
        table = numpy_helper.to_array(tables[node.input[0]])
        missing = _LEAST_ROWS - len(table)
        if missing > 0:
            longer = np.concatenate([table, np.zeros((missing, *table.shape[1:]), table.dtype)])
            name = f"{node.output[0]}_table"
            graph.initializer.append(numpy_helper.from_array(longer, name))
            node.input[0] = name


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
    replace_nodes(model, [node for node in graph.node if node.output[0] not in dropped])
    for node in graph.node:
        node.input[:] = [dropped.get(name, name) for name in node.input]


def _indexes_by(node: NodeProto, name: str) -> bool:
    """Whether a node uses a tensor as indexes of a table, and for nothing else."""
    return bool(node.op_type == "Gather" and node.input[1] == name and node.input[0] != name)
