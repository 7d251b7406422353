"""Opset 13 as opset 12: the Model Optimizer of OpenVINO 2021.4 looks for axes among the attributes. Host side."""

_NEWER, _OLDER = 13, 12
_INPUTS = {"Squeeze": "axes", "Unsqueeze": "axes", "ReduceSum": "axes", "Split": "split"}


def axes_as_attributes(model):
    """Moves axes from inputs to attributes, in place, where all are constant; gives Squeeze those that it leaves out."""
    from onnx import helper, numpy_helper

    from edgewright_targets.onnxruntime.prepare import opset_of
    from edgewright_targets.onnxruntime.restate import constants_of

    constants = constants_of(model)
    moved = [node for node in model.graph.node if node.op_type in _INPUTS and len(node.input) > 1]
    newer = opset_of(model) == _NEWER and all(node.input[1] in constants for node in moved)
    known = sizes(model) if any(_guesses(node) for node in model.graph.node) else {}
    for node in model.graph.node:
        name = _INPUTS.get(node.op_type)
        if newer and name and len(node.input) > 1:
            values = numpy_helper.to_array(constants[node.input[1]]).reshape(-1).tolist()
            node.attribute.append(helper.make_attribute(name, values))
            del node.input[1:]
        elif newer and node.op_type in ("Softmax", "LogSoftmax") and not node.attribute:
            node.attribute.append(helper.make_attribute("axis", -1))  # the older default is 1
        elif _guesses(node) and node.input[0] in known:
            axes = [place for place, size in enumerate(known[node.input[0]]) if size == 1]
            node.attribute.append(helper.make_attribute("axes", axes))
    for item in model.opset_import:
        if newer and item.domain in ("", "ai.onnx"):
            item.version = _OLDER


def _guesses(node):
    return node.op_type == "Squeeze" and len(node.input) == 1 and not node.attribute


def sizes(model):
    """{tensor: its shape}, 0 for an open axis."""
    import onnx

    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        item.name: [one.dim_value for one in item.type.tensor_type.shape.dim]
        for item in [*known.value_info, *known.input]
        if item.type.tensor_type.HasField("shape")
    }
