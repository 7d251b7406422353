"""Rewrites nodes for an older opset, in its own form or with older operators. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.prepare_for_quantization import every_node

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto


_AXES_ARE_INPUTS = 18  # the opset since which reductions take axes as inputs
_INPUTS_SINCE_13 = {"ReduceSum": "axes", "Squeeze": "axes", "Unsqueeze": "axes", "Split": "split"}
_LAYER_NORMALISATION = 17


def restated(model: ModelProto, opset: int) -> ModelProto:
    """A copy of the model in the older opset.

    Changes in an operator's meaning are not detected here: the caller has to compare outputs.
    Raises the checker's exception if the older opset does not support an operator, an input or an attribute.
    """
    import onnx

    made = type(model).FromString(model.SerializeToString())
    for item in made.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = opset
    if opset < _LAYER_NORMALISATION:
        _decompose_layer_normalisation(made)
    constants = constants_of(made)
    for node in every_node(made):
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and opset < _AXES_ARE_INPUTS:
            _as_attribute(node, "axes", constants)
        if node.op_type in _INPUTS_SINCE_13 and opset < 13:
            _as_attribute(node, _INPUTS_SINCE_13[node.op_type], constants)
        _drop_redundant(node, opset, constants)
    del made.graph.value_info[:]
    made.ir_version = onnx.helper.find_min_ir_version_for(list(made.opset_import), ignore_unknown=True)
    onnx.checker.check_model(made, full_check=True)
    return made


def constants_of(model: ModelProto) -> dict[str, TensorProto]:
    """{name: TensorProto} of initialisers and of Constant nodes."""
    found = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _as_attribute(node: NodeProto, name: str, constants: dict[str, TensorProto]) -> None:
    """Turns a constant second input into the attribute that older opsets use."""
    from onnx import helper, numpy_helper

    given = constants.get(node.input[1]) if len(node.input) > 1 else None
    if given is None:
        return
    wanted = numpy_helper.to_array(given).reshape(-1).tolist()
    kept = [item for item in node.attribute if item.name != "noop_with_empty_axes"]
    _set(node, [*kept, helper.make_attribute(name, wanted)])
    del node.input[1:]


def _drop_redundant(node: NodeProto, opset: int, constants: dict[str, TensorProto]) -> None:
    """Removes attributes that the older operator lacks, if they request its only behaviour."""
    from onnx import defs

    if node.domain not in ("", "ai.onnx"):
        return
    known = defs.get_schema(node.op_type, opset, "").attributes
    newer = defs.get_schema(node.op_type, defs.onnx_opset_version(), "").attributes

    def idle(item: AttributeProto) -> bool:
        if node.op_type == "Reshape" and item.name == "allowzero":
            return not item.i or _no_zero(constants.get(node.input[1]))
        default = newer[item.name].default_value if item.name in newer else None
        return default is not None and _value(item) == _value(default)

    _set(node, [item for item in node.attribute if item.name in known or not idle(item)])


def _no_zero(tensor: TensorProto) -> bool:
    from onnx import numpy_helper

    return tensor is not None and bool((numpy_helper.to_array(tensor) != 0).all())


def _set(node: NodeProto, attributes: list[AttributeProto]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in attributes]
    del node.attribute[:]
    node.attribute.extend(copies)


def _value(attribute: AttributeProto) -> Any:
    from onnx import helper

    return helper.get_attribute_value(attribute) if attribute.type else None


def _decompose_layer_normalisation(model: ModelProto) -> None:
    """Replaces LayerNormalization over the last axes by basic operators, in place."""
    nodes = []
    for node in model.graph.node:
        flags = {item.name: _value(item) for item in node.attribute}
        plain = node.op_type == "LayerNormalization" and len(node.output) == 1 and flags.get("axis", -1) < 0
        nodes += _normalisation(model, node, flags) if plain else [node]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _normalisation(model: ModelProto, node: NodeProto, flags: dict[str, Any]) -> list[NodeProto]:
    import numpy
    from onnx import helper, numpy_helper

    out = node.output[0]
    names = {
        part: f"{out}_{part}"
        for part in ("mean", "centred", "square", "spread", "epsilon", "sum", "root", "unit")
    }
    epsilon = numpy.array(flags.get("epsilon", 1e-5), numpy.float32)
    model.graph.initializer.append(numpy_helper.from_array(epsilon, names["epsilon"]))
    axes = list(range(flags.get("axis", -1), 0))
    scaled = f"{out}_scaled" if len(node.input) > 2 else out
    steps = [
        ("ReduceMean", [node.input[0]], "mean", {"axes": axes}),
        ("Sub", [node.input[0], names["mean"]], "centred", {}),
        ("Mul", [names["centred"], names["centred"]], "square", {}),
        ("ReduceMean", [names["square"]], "spread", {"axes": axes}),
        ("Add", [names["spread"], names["epsilon"]], "sum", {}),
        ("Sqrt", [names["sum"]], "root", {}),
        ("Div", [names["centred"], names["root"]], "unit", {}),
    ]
    made = [helper.make_node(kind, inputs, [names[part]], **flag) for kind, inputs, part, flag in steps]
    made.append(helper.make_node("Mul", [names["unit"], node.input[1]], [scaled]))
    if scaled != out:
        made.append(helper.make_node("Add", [scaled, node.input[2]], [out]))
    return made
