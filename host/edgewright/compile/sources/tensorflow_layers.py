"""The first layers of a TensorFlow function, for `compile.data.input_domains`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources.first_layers import SMALL, Graph, Step

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_KINDS = {
    "Identity": "same", "ReadVariableOp": "same", "StopGradient": "same", "PreventGradient": "same", "Snapshot": "same",
    "Reshape": "moved", "Squeeze": "moved", "ExpandDims": "moved", "Transpose": "moved", "BroadcastTo": "moved", "Tile": "moved",
    "StridedSlice": "moved", "Slice": "moved", "Pad": "moved", "PadV2": "moved", "ConcatV2": "moved", "Split": "moved", "Unpack": "moved",
    "Mul": "mul", "Add": "add", "AddV2": "add", "BiasAdd": "add", "Sub": "sub", "RealDiv": "div", "Div": "div", "DivNoNan": "div",
    "Maximum": "max", "Minimum": "min", "ClipByValue": "max", "Sqrt": "sqrt",
    "Equal": "equal", "NotEqual": "equal", "Greater": "order", "GreaterEqual": "order", "Less": "order", "LessEqual": "order",
    "LogicalNot": "truth", "LogicalAnd": "truth", "LogicalOr": "truth",
    "Select": "select", "SelectV2": "select", "If": "condition", "StatelessIf": "condition", "Shape": "shape", "Size": "shape", "Rank": "shape",
    "Sum": "sum", "Cumsum": "sum", "Max": "sum", "Any": "sum", "All": "sum",
}  # fmt: skip
_ONE_VALUE = {"Reshape", "Squeeze", "ExpandDims", "Transpose", "BroadcastTo", "Tile", "StridedSlice", "Slice", "Pad", "PadV2",
              "ClipByValue", "Sum", "Cumsum", "Max", "Any", "All"}  # fmt: skip
# indexes of the inputs that hold the table and the indexes
_LOOKUPS = {"GatherV2": (0, 1), "Gather": (0, 1), "ResourceGather": (0, 1)}
_BOOL = 10  # in TensorFlow's DataType


def read(concrete: Any) -> tuple[Graph, tuple[str, ...]]:
    """(the graph, names of the inputs) of a ConcreteFunction. Called functions are inlined; variables are not frozen."""
    from tensorflow.python.framework import convert_to_constants

    nodes = convert_to_constants._run_inline_graph_optimization(concrete, False, True).node
    captured = {inner.name.split(":")[0]: outer for outer, inner in concrete.graph.captures}
    by_name = {node.name: node for node in nodes}
    shapes = _Shapes(by_name, captured)
    variables = {id(item.handle): item for item in concrete.variables}

    def value(name: str) -> Array | None:
        node = by_name.get(name)
        if node is not None and node.op == "Const":
            return _constant(node)
        outer = captured.get(name)
        if outer is None or math.prod(shapes.of(name) or [SMALL + 1]) > SMALL:
            return None
        held = variables.get(id(outer), outer)
        return held.numpy() if hasattr(held, "numpy") else None

    steps = [step for node in nodes for step in _steps(node, value, shapes.of)]
    count = len(concrete.inputs) - len(concrete.captured_inputs)
    names = tuple(item.name.split(":")[0] for item in concrete.inputs[:count])
    return Graph(steps, value, names), names


class _Shapes:
    """The shapes of constants and variables, including those passed to a function under another name."""

    def __init__(self, nodes: Mapping[str, Any], captured: Mapping[str, Any]) -> None:
        self._nodes, self._captured = nodes, captured

    def of(self, name: str) -> list[int] | None:
        node = self._nodes.get(name)
        while node is not None and node.op in ("Identity", "ReadVariableOp", "Cast"):
            name = _plain(node.input[0])
            node = self._nodes.get(name)
        if name in self._captured:
            outer = self._captured[name]
            data = getattr(getattr(outer, "_handle_data", None), "shape_and_type", None)
            return [axis.size for axis in data[0].shape.dim] if data else list(outer.shape)
        if node is not None and node.op == "Const":
            return [axis.size for axis in node.attr["value"].tensor.tensor_shape.dim]
        return None


def _constant(node: Any) -> Array | None:
    import tensorflow as tf

    tensor = node.attr["value"].tensor
    small = math.prod(axis.size for axis in tensor.tensor_shape.dim) <= SMALL
    return tf.make_ndarray(tensor) if small and tensor.dtype != tf.string.as_datatype_enum else None


def _steps(
    node: Any, value: Callable[[str], Array | None], shape: Callable[[str], list[int] | None]
) -> Iterator[Step]:
    inputs = tuple(_plain(text) for text in node.input if text[:1] != "^")
    if node.op in _LOOKUPS:
        table, indexes = (inputs[at] for at in _LOOKUPS[node.op])
        axis = value(inputs[2]) if node.op == "GatherV2" else None
        dims = shape(table)
        size = dims[0 if axis is None else int(axis.reshape(-1)[0])] if dims else 0
        yield Step("lookup", (indexes,), node.name, size)
        yield Step("moved", (table,), node.name)
    elif node.op == "OneHot":
        depth = value(inputs[1])
        yield Step("lookup", inputs[:1], node.name, 0 if depth is None else int(depth.reshape(-1)[0]))
    elif node.op in ("Switch", "RefSwitch"):
        yield Step("condition", inputs[1:2], node.name)
        yield Step("moved", inputs[:1], node.name)
    elif node.op == "Cast":
        yield Step("truth" if node.attr["DstT"].type == _BOOL else "same", inputs[:1], node.name)
    else:
        kind = _KINDS.get(node.op, "other")
        if node.op in _ONE_VALUE:
            yield from (Step("shape", (name,), f"{node.name}'") for name in inputs[1:])
            inputs = inputs[:1]
        elif node.op == "ConcatV2":  # the axis comes last
            inputs = inputs[:-1]
        elif node.op == "Split":
            inputs = inputs[1:]
        elif kind == "condition":  # its branches are not read
            yield Step("other", inputs[1:], node.name)
            inputs = inputs[:1]
        yield Step(kind, inputs, node.name)


def _plain(text: str) -> str:
    return text.lstrip("^").split(":")[0]
