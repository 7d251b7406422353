"""Finds integers of an ONNX graph that OpenVINO computes in 32 bits. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto, TensorProto

    from edgewright.sdk import ConversionError

    Array = np.ndarray[Any, Any]


_MOST = 2**31
_PERIODS = 1000  # of a remainder: an input of fewer than so many periods would hardly be divided
# what takes whole numbers for what they are; slices, shapes and gathers take the greatest one for `to the end`
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Mod", "Pow")
_COMPARES = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
_MOVES = (
    "Identity",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Expand",
    "Tile",
    "Concat",
    "Slice",
    "Split",
)
_INDEXES = {
    "Gather": 1,
    "GatherElements": 1,
    "GatherND": 1,
    "ScatterElements": 1,
    "ScatterND": 1,
    "OneHot": 0,
}
_FACTOR = 2**16  # a product of two that large is beyond
_DIVIDES = ("Div", "Mod")
_SENTINELS = 2**62  # beyond this a number stands for `all there is`


def check(model: ModelProto, synthetic: bool) -> list[str]:
    """Notes about inputs that may be too large.

    Args:
        synthetic: there are no data that show how large they are.

    Raises:
        ConversionError: a constant is beyond 32 bits, or an input must be, as what it is divided by says.
    """
    from onnx import TensorProto

    from edgewright_targets._onnx.rewrite_for_opset import constants_of

    constants = {
        name: item for name, item in constants_of(model).items() if item.data_type == TensorProto.INT64
    }
    weights = {item.name for item in model.graph.initializer}
    inputs = {
        item.name
        for item in model.graph.input
        if item.type.tensor_type.elem_type == TensorProto.INT64 and item.name not in weights
    }
    counted, notes = [], []
    for node in model.graph.node:
        if node.op_type not in (*_ARITHMETIC, *_COMPARES):
            continue
        held = [constants[name] for name in node.input if name in constants]
        beyond = next(filter(None, map(_beyond, held)), 0)
        most = max(map(_largest, held), default=0)
        read = [name for name in node.input if name in inputs]
        which = f"{node.op_type} {node.name or node.output[0]}"
        if beyond and node.op_type in _COMPARES:  # in most cases a limit that nothing reaches
            notes.append(f"whole numbers are computed in 32 bits: {which} compares with {beyond}")
        elif beyond:
            raise _refused(f"{which} has a constant of {beyond}")
        if read and node.op_type == "Mod" and synthetic and most * _PERIODS >= _MOST:
            raise _refused(
                f"input {read[0]} may be beyond {_MOST - 1}, as the model takes its remainder by {most}",
                "give --calibration data that show how large it is, or take --target onnxruntime",
            )
        if node.op_type == "Mul" and most >= _FACTOR and len(held) < len(node.input):
            notes.append(
                f"whole numbers are computed in 32 bits: products beyond {_MOST - 1} are answered wrongly, and {which} "
                f"multiplies by {most}"
            )
        if node.op_type in _DIVIDES:
            counted += [name for name in read if name not in counted]
    if synthetic:  # data that are beyond are refused
        counted += sorted(name for name in inputs - set(counted) if _computed(model, name))
    return [
        *(
            f"whole numbers are computed in 32 bits: values of input {name} beyond {_MOST - 1} are answered wrongly"
            for name in counted
        ),
        *notes,
    ]


def _computed(model: ModelProto, name: str) -> bool:
    """Whether anything takes the values of an input for more than indexes and comparisons."""
    from edgewright_targets._onnx.prepare_for_quantization import reads

    pending, seen = [name], set()
    while pending:
        name = pending.pop()
        seen.add(name)
        for node in model.graph.node:
            if name not in reads(node):
                continue
            if _moves(node, name):
                pending += [one for one in node.output if one not in seen]
            elif not _harmless(node, name):
                return True
    return False


def _moves(node: NodeProto, name: str) -> bool:
    from onnx import TensorProto

    whole = (TensorProto.INT32, TensorProto.INT64)
    if node.op_type == "Cast":
        return any(item.name == "to" and item.i in whole for item in node.attribute)
    return node.op_type in _MOVES or (_INDEXES.get(node.op_type) == 1 and name == node.input[0])


def _harmless(node: NodeProto, name: str) -> bool:
    from onnx import TensorProto

    if node.op_type == "Cast":
        return any(item.name == "to" and item.i == TensorProto.BOOL for item in node.attribute)
    return (
        node.op_type in ("Shape", "Size", *_COMPARES)
        or name in node.input[_INDEXES.get(node.op_type, 9) :][:1]
    )


def _beyond(tensor: TensorProto) -> int | None:
    """A value of it that 32 bits do not hold, and that is no sentinel; else None."""
    values = _values(tensor)
    found = values[((values < -_MOST) | (values >= _MOST)) & (values > -_SENTINELS) & (values < _SENTINELS)]
    return int(found[0]) if found.size else None


def _largest(tensor: TensorProto) -> int:
    """The greatest value without its sign, sentinels left out."""
    values = _values(tensor)
    values = values[(values > -_SENTINELS) & (values < _SENTINELS)]
    return max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0


def _values(tensor: TensorProto) -> Array:
    from onnx import numpy_helper

    values: Array = numpy_helper.to_array(tensor).reshape(-1)
    return values


def _refused(
    why: str, hint: str = "take --target onnxruntime, or make the numbers smaller before they enter the model"
) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"OpenVINO computes whole numbers in 32 bits: {why}", hint=hint, code=Code.INTEGERS_TOO_WIDE
    )
