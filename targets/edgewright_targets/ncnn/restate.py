"""Restates an ONNX graph in forms that pnnx converts correctly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.prepare_for_quantization import opset_of
from edgewright_targets._onnx.raise_opset import raised_if_possible
from edgewright_targets._onnx.rewrite_for_opset import constants_of
from edgewright_targets._onnx.rewrite_for_opset import restated as lowered
from edgewright_targets.ncnn import explicit_pads
from edgewright_targets.ncnn.graph_edits import constant, fixed_shapes, replace_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LEAST_OPSET = 13  # older ones define Softmax differently
_MOST_OPSET = 17  # newer reductions take their axes as an input, and pnnx loses a single axis there
_ONE_AXIS = ("ReduceMax", "ReduceMin", "ReduceProd")  # pnnx converts them over one axis only


def restated(model: ModelProto) -> ModelProto:
    """An equivalent model. Nodes that cannot be restated stay as they are: pnnx may refuse them."""
    made = explicit_pads.stated(_at_known_opset(model))
    shapes, constants = fixed_shapes(made), constants_of(made)
    if opset_of(made) > _MOST_OPSET:
        shapes = {}  # reductions have another form there
    nodes: list[NodeProto] = []
    for node in made.graph.node:
        shape = shapes.get(node.input[0]) if node.input else None
        if node.op_type == "Softsign":
            nodes += _softsign(made, node)
        elif node.op_type == "Pow":
            nodes += _product(node, _exponent(made, node, constants))
        elif node.op_type == "Pad":
            nodes.append(_with_mode(node))
        elif node.op_type == "ReduceSum" and shape and set(node.input[1:]) & set(constants):
            nodes += _sum_as_mean(made, node, shape, constants[node.input[1]])
        elif node.op_type in _ONE_AXIS and shape:
            nodes += _axis_by_axis(node, len(shape))
        else:
            nodes.append(node)
    replace_nodes(made, nodes)
    return made


def _at_known_opset(model: ModelProto) -> ModelProto:
    made = raised_if_possible(model, _LEAST_OPSET)
    if opset_of(made) <= _MOST_OPSET:
        return made
    try:
        return lowered(_inlined(made), _MOST_OPSET)
    except Exception as error:  # noqa: BLE001 - the checker raises anything; the outputs are compared anyway
        print(f"opset {opset_of(made)} is not lowered: {error}")  # noqa: T201 - a worker's stdout is its log
        return made


def _inlined(model: ModelProto) -> ModelProto:
    """The model with operators that `_MOST_OPSET` lacks, such as Gelu, as the functions that ONNX defines them by."""
    import onnx
    from onnx import defs, inliner

    opset = opset_of(model)
    kinds = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
    newer = [
        ("", kind) for kind in sorted(kinds) if defs.get_schema(kind, opset, "").since_version > _MOST_OPSET
    ]
    made = onnx.shape_inference.infer_shapes(model)
    for item in made.graph.initializer:  # the inliner needs the type of every input
        made.graph.value_info.append(onnx.helper.make_tensor_value_info(item.name, item.data_type, item.dims))
    made = inliner.inline_selected_functions(made, newer, inline_schema_functions=True)
    del made.graph.value_info[:]
    return made


def _softsign(model: ModelProto, node: NodeProto) -> list[NodeProto]:
    """x / (1 + |x|). The quotient is a product: pnnx would turn a division into Softsign again, which ncnn lacks."""
    from onnx import helper

    x, y = node.input[0], node.output[0]
    one = constant(model, f"{y}_one", 1.0, "float32")
    return [
        helper.make_node("Abs", [x], [f"{y}_size"]),
        helper.make_node("Add", [f"{y}_size", one], [f"{y}_sum"]),
        helper.make_node("Reciprocal", [f"{y}_sum"], [f"{y}_inverse"]),
        helper.make_node("Mul", [x, f"{y}_inverse"], [y], node.name),
    ]


def _exponent(model: ModelProto, node: NodeProto, constants: Mapping[str, Any]) -> float | None:
    """The exponent of a Pow, if it is one constant number; a CastLike may stand before it."""
    from onnx import numpy_helper

    makers = {one.output[0]: one for one in model.graph.node if one.op_type in ("Cast", "CastLike")}
    name = node.input[1]
    while name in makers:
        name = makers[name].input[0]
    values: Any = numpy_helper.to_array(constants[name]).reshape(-1) if name in constants else ()
    return float(values[0]) if len(values) == 1 else None


def _product(node: NodeProto, exponent: float | None) -> list[NodeProto]:
    """A square or cube as a product: ncnn's vectors compute powers by logarithms, so they fail for negative numbers."""
    from onnx import helper

    x, y = node.input[0], node.output[0]
    if exponent == 2:
        return [helper.make_node("Mul", [x, x], [y], node.name)]
    if exponent == 3:
        square = f"{y}_square"
        return [
            helper.make_node("Mul", [x, x], [square]),
            helper.make_node("Mul", [square, x], [y], node.name),
        ]
    return [node]


def _with_mode(node: NodeProto) -> NodeProto:
    """A Pad that names its mode, since pnnx does not know the default."""
    from onnx import helper

    made = type(node).FromString(node.SerializeToString())
    if all(item.name != "mode" for item in made.attribute):
        made.attribute.append(helper.make_attribute("mode", "constant"))
    return made


def _axis_by_axis(node: NodeProto, rank: int) -> list[NodeProto]:
    """A reduction over several axes as one node an axis, last axis first."""
    from onnx import helper

    own = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    places = sorted((place % rank for place in own.get("axes") or range(rank)), reverse=True)
    if len(node.input) > 1 or len(places) < 2:
        return [node]
    names = [node.input[0], *(f"{node.output[0]}_over_{place}" for place in places[:-1]), node.output[0]]
    return [
        helper.make_node(
            node.op_type, [names[step]], [names[step + 1]], f"{node.name}_{place}", axes=[place], keepdims=own.get("keepdims", 1)
        )
        for step, place in enumerate(places)
    ]  # fmt: skip


def _sum_as_mean(model: ModelProto, node: NodeProto, shape: tuple[int, ...], axes: Any) -> list[NodeProto]:
    """A mean times the number of elements: at these opsets ReduceSum alone takes its axes as an input."""
    import numpy as np
    from onnx import helper, numpy_helper

    places = numpy_helper.to_array(axes).reshape(-1).tolist()
    if not places:
        return [node]
    count = float(np.prod([shape[place] for place in places]))
    keeps = next((item.i for item in node.attribute if item.name == "keepdims"), 1)
    mean, y = f"{node.output[0]}_mean", node.output[0]
    factor = constant(model, f"{mean}_count", count, "float32")
    return [
        helper.make_node("ReduceMean", [node.input[0]], [mean], node.name, axes=places, keepdims=keeps),
        helper.make_node("Mul", [mean, factor], [y]),
    ]
