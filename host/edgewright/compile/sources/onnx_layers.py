"""The first layers of an ONNX model, for `compile.domains`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from edgewright.compile.first_layers import SMALL, Graph, Step

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_KINDS = {
    "Identity": "same", "Dropout": "same",
    "Reshape": "moved", "Squeeze": "moved", "Unsqueeze": "moved", "Flatten": "moved", "Transpose": "moved", "Expand": "moved",
    "Slice": "moved", "Tile": "moved", "Pad": "moved", "Concat": "moved", "Split": "moved",
    "Mul": "mul", "Add": "add", "Sub": "sub", "Div": "div", "Max": "max", "Min": "min", "Clip": "max", "Sqrt": "sqrt",
    "Equal": "equal", "Greater": "order", "Less": "order", "GreaterOrEqual": "order", "LessOrEqual": "order",
    "Not": "truth", "And": "truth", "Or": "truth", "Xor": "truth",
    "Where": "select", "If": "condition", "Shape": "shape", "Size": "shape",
    "ReduceSum": "sum", "ReduceMax": "sum", "CumSum": "sum",
}  # fmt: skip


def read(model: Any) -> Graph:
    """The graph of a ModelProto; inner graphs and functions are left out."""
    graph = model.graph
    held = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            held.update((node.output[0], item.t) for item in node.attribute if item.name == "value")
    sizes = {name: list(item.dims) for name, item in held.items()}
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "Cast", "Identity") and node.input[0] in sizes:
            sizes.setdefault(node.output[0], sizes[node.input[0]])
    steps = [step for node in graph.node for step in _steps(node, held, sizes)]
    return Graph(steps, partial(_value, held))


def _steps(node: Any, held: Mapping[str, Any], sizes: Mapping[str, list[int]]) -> Iterator[Step]:
    """One step an output; indexes of a Gather and what stands in its table are two."""
    from onnx import TensorProto

    kind = _KINDS.get(node.op_type, "other") if node.domain in ("", "ai.onnx") else "other"
    inputs = tuple(node.input)
    if node.op_type == "Cast":
        to_truth = any(item.name == "to" and item.i == TensorProto.BOOL for item in node.attribute)
        kind = "truth" if to_truth else "same"
    elif node.op_type == "Gather":
        axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
        dims = sizes.get(inputs[0])
        yield Step("lookup", inputs[1:2], node.output[0], dims[axis] if dims else 0)
        kind, inputs = "moved", inputs[:1]
    elif node.op_type == "OneHot":
        depth = _value(held, inputs[1])
        yield Step("lookup", inputs[:1], node.output[0], 0 if depth is None else int(depth.reshape(-1)[0]))
        return
    elif node.op_type == "If":
        inputs = inputs[:1]
    elif node.op_type in (
        "Clip",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Expand",
        "Slice",
        "Tile",
        "Pad",
        "CumSum",
        "ReduceSum",
    ):
        yield from (Step("shape", (name,), f"{node.output[0]}'") for name in inputs[1:] if name)
        inputs = inputs[:1]
    for output in node.output or ("",):
        yield Step(kind, inputs, output)


def _value(held: Mapping[str, Any], name: str) -> Array | None:
    import math

    from onnx import TensorProto, numpy_helper

    tensor = held.get(name)
    if tensor is None or tensor.data_location == TensorProto.EXTERNAL or math.prod(tensor.dims) > SMALL:
        return None
    found: Array = numpy_helper.to_array(tensor)
    return found
