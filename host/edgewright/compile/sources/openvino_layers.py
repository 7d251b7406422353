"""The first layers of an OpenVINO model, for `compile.data.input_domains`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources.first_layers import SMALL, Graph, Step

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_KINDS = {
    "Reshape": "moved", "Squeeze": "moved", "Unsqueeze": "moved", "Transpose": "moved", "Broadcast": "moved", "Tile": "moved",
    "StridedSlice": "moved", "Slice": "moved", "Pad": "moved", "Concat": "moved", "Split": "moved", "VariadicSplit": "moved",
    "Multiply": "mul", "Add": "add", "Subtract": "sub", "Divide": "div", "Maximum": "max", "Minimum": "min", "Clamp": "max", "Sqrt": "sqrt",
    "Equal": "equal", "NotEqual": "equal", "Greater": "order", "GreaterEqual": "order", "Less": "order", "LessEqual": "order",
    "LogicalNot": "truth", "LogicalAnd": "truth", "LogicalOr": "truth",
    "Select": "select", "If": "condition", "ShapeOf": "shape", "ReduceSum": "sum", "CumSum": "sum", "ReduceMax": "sum",
}  # fmt: skip
_ONE_VALUE = {"Reshape", "Squeeze", "Unsqueeze", "Transpose", "Broadcast", "Tile", "StridedSlice", "Slice", "Pad", "Split",
              "VariadicSplit", "ReduceSum", "CumSum", "ReduceMax"}  # fmt: skip


def read(model: Any) -> tuple[Graph, tuple[str, ...]]:
    """(the graph, names of the inputs) of an ov.Model. A tensor is named by its operator and the output's index."""
    operators = list(model.get_ordered_ops())
    held = {f"{item.get_friendly_name()}:0": item for item in operators if item.get_type_name() == "Constant"}

    def value(name: str) -> Array | None:
        item = held.get(name)
        small = item is not None and math.prod(item.get_output_shape(0)) <= SMALL
        return item.get_data() if item is not None and small else None

    steps = [step for item in operators for step in _steps(item, value)]
    names = tuple(_name(port) for port in model.inputs)
    return Graph(steps, value, names), names


def _name(port: Any) -> str:
    return f"{port.get_node().get_friendly_name()}:{port.get_index()}"


def _steps(item: Any, value: Any) -> Iterator[Step]:
    kind, ports = item.get_type_name(), [port.get_source_output() for port in item.inputs()]
    inputs, outputs = tuple(map(_name, ports)), [_name(port) for port in item.outputs()]
    if kind == "Gather":
        axis, shape = value(inputs[2]), ports[0].get_partial_shape()
        known = axis is not None and shape.is_static
        size = shape[int(axis.reshape(-1)[0])].get_length() if known else 0
        yield Step("lookup", inputs[1:2], outputs[0], size)
        yield Step("moved", inputs[:1], outputs[0])
        return
    if kind == "OneHot":
        depth = value(inputs[1])
        yield Step("lookup", inputs[:1], outputs[0], 0 if depth is None else int(depth.reshape(-1)[0]))
        return
    found = _KINDS.get(kind, "other")
    if kind == "Convert":
        found = "truth" if item.get_output_element_type(0).get_type_name() == "boolean" else "same"
    if kind in _ONE_VALUE:
        yield from (Step("shape", (one,), f"{outputs[0]}'") for one in inputs[1:])
        inputs = inputs[:1]
    elif kind == "If":  # its branches are not read
        yield from (Step("other", inputs[1:], output) for output in outputs)
        inputs = inputs[:1]
    for output in outputs:
        yield Step(found, inputs, output)
