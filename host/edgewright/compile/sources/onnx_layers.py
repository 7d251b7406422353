"""The first layers of an ONNX model, for `compile.data.input_domains`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.sources.first_layers import SMALL, Graph, Step

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
    "ReduceSum": "sum", "ReduceMax": "sum", "CumSum": "sum", "Handed": "handed",
}  # fmt: skip
_ONE_VALUE = {"Dropout", "Clip", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Slice", "Tile", "Pad", "Split", "CumSum", "ReduceSum",
              "ReduceMax", "If"}  # fmt: skip


def read(model: Any) -> Graph:
    """The graph of a ModelProto, including the inner graphs of branches and loops; functions are left out."""
    held: dict[str, Any] = {}
    nodes = list(_nodes(model.graph, held, {}))
    given = {item.name for item in model.graph.input} - held.keys()
    sizes = {name: list(item.dims) for name, item in held.items()}
    for node in nodes:
        if node.op_type in ("DequantizeLinear", "Cast", "Identity") and node.input[0] in sizes:
            sizes.setdefault(node.output[0], sizes[node.input[0]])
    steps = [step for node in nodes for step in _steps(node, held, sizes)]
    return Graph(steps, partial(_value, held), given)


class _Node(NamedTuple):
    """A NodeProto with tensors renamed to be unique in the outermost graph."""

    op_type: str
    domain: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    attribute: Any


def _nodes(graph: Any, held: dict[str, Any], names: Mapping[str, str], within: str = "") -> Iterator[_Node]:
    """All nodes. Two branches may use the same name, so tensors of inner graphs are renamed.

    Args:
        held: collects the constants.
        names: the outer graph's names that the inner graph captures.
    """
    mine = [item.name for item in (*graph.initializer, *graph.input)]
    mine += [name for node in graph.node for name in node.output]
    names = {**names, **{name: within + name for name in mine if name}}
    held.update((names[item.name], item) for item in graph.initializer)
    for node in graph.node:
        inputs, outputs = (tuple(names.get(one, one) for one in side) for side in (node.input, node.output))
        if node.op_type == "Constant":
            held.update(
                (outputs[0], tensor) for tensor in map(_constant, node.attribute) if tensor is not None
            )
        for item in node.attribute:
            for inner in filter(lambda one: one.node, (item.g, *item.graphs)):
                place = f"{outputs[0]}/{item.name}/"
                yield from _nodes(inner, held, names, place)
                yield from _handed_steps(node.op_type, inner, inputs, outputs, place)
        yield _Node(node.op_type, node.domain, inputs, outputs, node.attribute)


def _handed_steps(
    kind: str, inner: Any, inputs: Sequence[str], outputs: Sequence[str], place: str
) -> Iterator[_Node]:
    """Steps for values that enter and leave an inner graph. A loop changes them on each iteration, so they are not constants."""
    into = (
        zip(inputs[2:], inner.input[2:], strict=False)
        if kind == "Loop"
        else zip(inputs, inner.input, strict=False)
    )
    for outer, item in into:
        yield _Node("Handed", "", (outer,), (place + item.name,), ())
    for outer, item in zip(outputs, inner.output[kind == "Loop" :], strict=False):
        yield _Node("Handed", "", (place + item.name,), (outer,), ())


def _constant(attribute: Any) -> Any:
    """The value of a Constant; None for strings and sparse tensors."""
    import numpy as np
    from onnx import numpy_helper

    if attribute.name == "value":
        return attribute.t
    kind = {"value_float": "f", "value_floats": "floats", "value_int": "i", "value_ints": "ints"}.get(
        attribute.name
    )
    if kind is None:
        return None
    dtype = np.float32 if kind[0] == "f" else np.int64
    return numpy_helper.from_array(np.asarray(getattr(attribute, kind), dtype))


def _steps(node: _Node, held: Mapping[str, Any], sizes: Mapping[str, list[int]]) -> Iterator[Step]:
    """The steps of a node, one per output. A Gather gives two: one for its indexes, one for its table."""
    from onnx import TensorProto

    kind = _KINDS.get(node.op_type, "other") if node.domain in ("", "ai.onnx") else "other"
    inputs = node.input
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
    elif node.op_type in _ONE_VALUE:
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
