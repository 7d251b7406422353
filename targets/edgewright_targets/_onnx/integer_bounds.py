"""Finds 64-bit integers of an ONNX graph that OpenVINO or onnx2tf would compute in 32 bits. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto, TensorProto

    from edgewright.sdk import ConversionError

    Array = np.ndarray[Any, Any]


_MOST = 2**31
_PERIODS = (
    1000  # an input that never exceeded this many multiples of its divisor would hardly need the remainder
)
# operators that use integers as values; slices, shapes and gathers use the greatest integer as `to the end`
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
_FACTOR = 2**16  # the product of two factors this large is beyond 32 bits
_DIVIDES = ("Div", "Mod")
_SENTINELS = 2**62  # larger numbers are sentinels for `to the end`


def check(model: ModelProto, synthetic: bool) -> list[str]:
    """Notes about inputs that may be too large.

    Args:
        synthetic: there are no data that show how large they are.

    Raises:
        ConversionError: a constant is beyond 32 bits, or an input must be, judging by its divisor.
    """
    if synthetic:
        refuse_remainders(model, "OpenVINO")
    constants, inputs = _whole_numbers(model)
    counted, notes = [], []
    for node in model.graph.node:
        if node.op_type not in (*_ARITHMETIC, *_COMPARES):
            continue
        held = [constants[name] for name in node.input if name in constants]
        beyond = next(filter(None, map(_beyond, held)), 0)
        most = max(map(_largest, held), default=0)
        read = [name for name in node.input if name in inputs]
        which = f"{node.op_type} {node.name or node.output[0]}"
        if beyond and node.op_type in _COMPARES:  # mostly a limit that is never reached
            notes.append(f"whole numbers are computed in 32 bits: {which} compares with {beyond}")
        elif beyond:
            raise _refused(f"{which} has a constant of {beyond}")
        if node.op_type == "Mul" and most >= _FACTOR and len(held) < len(node.input):
            notes.append(
                f"whole numbers are computed in 32 bits: products beyond {_MOST - 1} are answered wrongly, and {which} "
                f"multiplies by {most}"
            )
        if node.op_type in _DIVIDES:
            counted += [name for name in read if name not in counted]
    if synthetic:  # otherwise data beyond 32 bits are refused
        counted += sorted(name for name in inputs - set(counted) if _uses_values(model, name))
    return [
        *(
            f"whole numbers are computed in 32 bits: values of input {name} beyond {_MOST - 1} are answered wrongly"
            for name in counted
        ),
        *notes,
    ]


def refuse_remainders(model: ModelProto, computer: str) -> None:
    """Refuses a model without data if an input must be beyond 32 bits, judging by the divisor of its remainder.

    Args:
        computer: the program that computes in 32 bits.

    Raises:
        ConversionError: there is such an input.
    """
    constants, inputs = _whole_numbers(model)
    for node in model.graph.node:
        if node.op_type != "Mod":
            continue
        most = max((_largest(constants[name]) for name in node.input if name in constants), default=0)
        read = [name for name in node.input if name in inputs]
        if read and most * _PERIODS >= _MOST:
            raise _refused(
                f"input {read[0]} may be beyond {_MOST - 1}, as the model takes its remainder by {most}",
                "give --calibration data that show how large it is, or take --target onnxruntime",
                computer,
            )


def _whole_numbers(model: ModelProto) -> tuple[dict[str, TensorProto], set[str]]:
    """The 64-bit constants by name, and the names of the inputs of 64-bit integers."""
    from onnx import TensorProto

    from edgewright_targets._onnx.rewrite_for_opset import constants_of

    found = constants_of(model).items()
    weights = {item.name for item in model.graph.initializer}
    return (
        {name: item for name, item in found if item.data_type == TensorProto.INT64},
        {
            item.name
            for item in model.graph.input
            if item.type.tensor_type.elem_type == TensorProto.INT64 and item.name not in weights
        },
    )


def _uses_values(model: ModelProto, name: str) -> bool:
    """Whether an input's values are used for more than indexes and comparisons."""
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
    """A value in the tensor that does not fit 32 bits and is not a sentinel; else None."""
    values = _values(tensor)
    found = values[((values < -_MOST) | (values >= _MOST)) & (values > -_SENTINELS) & (values < _SENTINELS)]
    return int(found[0]) if found.size else None


def _largest(tensor: TensorProto) -> int:
    """The greatest magnitude, except sentinels."""
    values = _values(tensor)
    values = values[(values > -_SENTINELS) & (values < _SENTINELS)]
    return max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0


def _values(tensor: TensorProto) -> Array:
    from onnx import numpy_helper

    values: Array = numpy_helper.to_array(tensor).reshape(-1)
    return values


def _refused(
    why: str,
    hint: str = "take --target onnxruntime, or make the numbers smaller before they enter the model",
    computer: str = "OpenVINO",
) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"{computer} computes whole numbers in 32 bits: {why}", hint=hint, code=Code.INTEGERS_TOO_WIDE
    )
