"""What TensorRT's parser denies of operators that it has: values of attributes, outputs and types of tensors. Plain data and its checks.

From the columns "Restrictions" and the notes on types of onnx-tensorrt's `docs/operators.md` at commits 0f305925 (8.5), 0137504e (10.6), 4df19968
(10.12) and 2f3fa349 (11.0), and from `builtin_op_static_checkers.cpp` at 2cb1f39f (9.2): only what all of them deny, or do not mention
because the operator had no such attribute yet. The column "Supported Types" is not taken: it lists ConstantOfShape in 8.5 for FP32 alone, and
CumSum for floats alone, and both parse with integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# (operator, attribute) -> values that the parser takes; a list is taken if each of its values is
_TAKEN: dict[tuple[str, str], tuple[Any, ...]] = {
    ("AveragePool", "dilations"): (1,),
    ("MaxPool", "dilations"): (1,),
    ("LpPool", "dilations"): (1,),
    ("BatchNormalization", "training_mode"): (0,),
    ("LSTM", "input_forget"): (0,),
    ("LSTM", "layout"): (0,),
    ("Resize", "coordinate_transformation_mode"): (
        b"half_pixel", b"pytorch_half_pixel", b"tf_half_pixel_for_nn", b"asymmetric", b"align_corners",
    ),
    ("Resize", "antialias"): (0,),
    ("Resize", "keep_aspect_ratio_policy"): (b"stretch",),
    ("ScatterND", "reduction"): (b"none",),
}  # fmt: skip
_OUTPUTS = {"MaxPool": 1, "LayerNormalization": 1}  # more of them are unsupported
_ZERO_POINTS = ("QuantizeLinear", "DequantizeLinear")
_ABSENT = (
    "INT16",
    "UINT16",
    "UINT32",
    "UINT64",
    "STRING",
    "COMPLEX64",
    "COMPLEX128",
)  # in no version's note on types
BYTES = "UINT8"  # only at inputs and outputs of the model
BYTES_SINCE = "8.5"  # so `docs/Changelog.md`
_CONVERTS = ("Cast", "CastLike")  # what stands between such an end and the model


def denied(node: NodeProto, types: Mapping[str, int], zeros: Mapping[str, bool]) -> str:
    """What no TensorRT takes of a node; empty if there is nothing.

    Args:
        types: tensor -> its type, of TensorProto.DataType.
        zeros: constant -> whether all of its values are 0.
    """
    from onnx import helper

    for attribute in node.attribute:
        taken = _TAKEN.get((node.op_type, attribute.name))
        if taken is not None:
            value = helper.get_attribute_value(attribute)
            values = value if isinstance(value, list) else [value]
            if any(one not in taken for one in values):
                return f"{attribute.name} {shown(value)}"
    most = _OUTPUTS.get(node.op_type)
    if most is not None and any(node.output[most:]):
        return f"output {next(name for name in node.output[most:] if name)}"
    if node.op_type in _ZERO_POINTS:
        return _zero_point(node, types, zeros)
    named = {_name(types[name]) for name in (*node.input, *node.output) if name in types}
    wrong = sorted(
        named.intersection(_ABSENT) | (named & {BYTES} if node.op_type not in _CONVERTS else set())
    )
    return f"type {wrong[0]}" if wrong else ""


def _zero_point(node: NodeProto, types: Mapping[str, int], zeros: Mapping[str, bool]) -> str:
    """TensorRT quantises symmetrically, to signed integers."""
    zero = node.input[2] if len(node.input) > 2 else ""
    if not zero:  # its parser takes it for a signed one
        return ""
    quantised = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
    kind = _name(types.get(quantised, types.get(zero, 0)))
    if kind in (BYTES, *_ABSENT):
        return f"type {kind}"
    return "a zero point that is not 0" if zeros.get(zero) is False else ""


def converts_bytes(model: ModelProto) -> list[NodeProto]:
    """The nodes that convert inputs or outputs of the type `BYTES`."""
    from onnx import TensorProto

    ends = (*model.graph.input, *model.graph.output)
    names = {item.name for item in ends if item.type.tensor_type.elem_type == TensorProto.UINT8}
    return [node for node in model.graph.node if names.intersection([*node.input, *node.output])]


def types_of(model: ModelProto) -> dict[str, int]:
    """Tensor -> its type, of the graph's inputs, outputs, constants and of what nodes make."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    ends = [*graph.input, *graph.value_info, *graph.output]
    found = {item.name: item.type.tensor_type.elem_type for item in ends}
    return {**found, **{item.name: item.data_type for item in graph.initializer}}


def zeros_of(model: ModelProto) -> dict[str, bool]:
    """Zero point -> whether all of its values are 0, of those that are constants in this file."""
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    wanted = {node.input[2] for node in graph.node if node.op_type in _ZERO_POINTS and len(node.input) > 2}
    tensors = {item.name: item for item in graph.initializer}
    constants = (node for node in graph.node if node.op_type == "Constant")
    tensors.update(
        {node.output[0]: item.t for node in constants for item in node.attribute if item.name == "value"}
    )
    return {
        name: not numpy_helper.to_array(tensors[name]).any()
        for name in wanted & set(tensors)
        if tensors[name].data_location != TensorProto.EXTERNAL
    }


def _name(kind: int) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(kind))


def shown(value: Any) -> str:
    """An attribute's value for a message."""
    return value.decode() if isinstance(value, bytes) else str(value)
