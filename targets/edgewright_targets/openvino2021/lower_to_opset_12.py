"""Rewrites opset 13 as opset 12, in which OpenVINO 2021.4's Model Optimizer expects axes as attributes. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


_NEWER, _OLDER = 13, 12
_SOFT = ("Softmax", "LogSoftmax")
_INPUTS = {"Squeeze": "axes", "Unsqueeze": "axes", "ReduceSum": "axes", "Split": "split"}


def axes_as_attributes(model: ModelProto) -> None:
    """Moves axes from inputs to attributes, in place, if all of them are constant; adds the axes that a Squeeze leaves out.

    Softmax is rewritten for the last axis: before opset 13 it treats its axis and all later ones as one.
    """
    from onnx import helper, numpy_helper

    from edgewright_targets._onnx.prepare_for_quantization import opset_of
    from edgewright_targets._onnx.rewrite_for_opset import constants_of

    constants = constants_of(model)
    moved = [node for node in model.graph.node if node.op_type in _INPUTS and len(node.input) > 1]
    single = opset_of(model) == _NEWER
    newer = single and all(node.input[1] in constants for node in moved)
    wanted = any(_guesses(node) or (single and node.op_type in _SOFT) for node in model.graph.node)
    known, nodes = sizes(model) if wanted else {}, []
    for node in model.graph.node:
        made = [node]
        name = _INPUTS.get(node.op_type)
        if newer and name and len(node.input) > 1:
            values = numpy_helper.to_array(constants[node.input[1]]).reshape(-1).tolist()
            node.attribute.append(helper.make_attribute(name, values))
            del node.input[1:]
        elif single and node.op_type in _SOFT:
            made = _along_last(node, len(known.get(node.input[0], ())))
        elif _guesses(node) and node.input[0] in known:
            axes = [place for place, size in enumerate(known[node.input[0]]) if size == 1]
            node.attribute.append(helper.make_attribute("axes", axes))
        nodes += [type(node).FromString(one.SerializeToString()) for one in made]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for item in model.opset_import:
        if newer and item.domain in ("", "ai.onnx"):
            item.version = _OLDER


def _along_last(node: NodeProto, rank: int) -> list[NodeProto]:
    """An opset-13 Softmax as equivalent older nodes; unchanged if the rank matters but is unknown."""
    from onnx import helper

    axis = next((item.i for item in node.attribute if item.name == "axis"), -1)
    if axis != -1 and not rank:
        return [node]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("axis", -1))
    if axis in (-1, rank - 1):
        return [node]
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    given, out = node.input[0], node.output[0]
    turned, soft = f"{out}/turned", f"{out}/soft"
    node.input[0], node.output[0] = turned, soft
    return [
        helper.make_node("Transpose", [given], [turned], f"{turned}/node", perm=order),
        node,
        helper.make_node("Transpose", [soft], [out], f"{soft}/node", perm=order),
    ]


def _guesses(node: NodeProto) -> bool:
    return node.op_type == "Squeeze" and len(node.input) == 1 and not node.attribute


def sizes(model: ModelProto) -> dict[str, list[int]]:
    """{tensor: its shape}, with 0 for a dynamic axis."""
    import onnx

    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        item.name: [one.dim_value for one in item.type.tensor_type.shape.dim]
        for item in [*known.value_info, *known.input]
        if item.type.tensor_type.HasField("shape")
    }
