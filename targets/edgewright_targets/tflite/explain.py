"""Lists the operations of a .tflite file from its schema. Host side, in the `litert` worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_litert.schema_py_generated import ModelT, OperatorT, SubGraphT

    Array = np.ndarray[Any, Any]


_FLOATS = {"FLOAT32": "fp32", "FLOAT16": "fp16"}
_OPTIONS = (
    "Conv2DOptions", "DepthwiseConv2DOptions", "FullyConnectedOptions", "AddOptions", "MulOptions", "SubOptions",
    "Pool2DOptions", "ConcatenationOptions", "TransposeConvOptions", "Conv3DOptions", "DivOptions", "L2NormOptions",
)  # fmt: skip


def of_source(model: Any, path: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature for all targets
    """Rows for `edgewright.sdk.Operation` of an opened .tflite source."""
    return shipped(path)


def executed(path: Path) -> None:  # noqa: ARG001 - one signature for all targets
    """None: the interpreter executes the file's operators, and does not report what a delegate makes of them."""
    return None


def shipped(path: Path) -> list[dict[str, Any]]:
    """Rows for the file's first subgraph. `absorbed` is the fused activation function."""
    from pathlib import Path

    return written(Path(path).read_bytes())


def written(data: bytes, ranges: dict[str, dict[str, Array]] | None = None) -> list[dict[str, Any]]:
    """The rows of `shipped`, from the bytes of a file.

    Args:
        ranges: ranges of its activations, from `activation_ranges.ranges`; they add widths to the rows.
    """
    from ai_edge_litert import schema_py_generated as schema

    from edgewright_targets.tflite.graph import opened

    model = opened(data)
    graph = model.subgraphs[0]
    operators = _named(schema.BuiltinOperator)
    types, activations = _named(schema.TensorType), _named(schema.ActivationFunctionType)
    found, makers = [], {}
    for item in graph.operators:
        code = model.operatorCodes[item.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        operator = operators[number] if operators[number] != "CUSTOM" else code.customCode.decode()
        name = _text(graph.tensors[item.outputs[0]].name) if len(item.outputs) else operator
        found.append((item, operator, name))
        makers.update({int(index): (name, item, operator) for index in item.outputs})
    widths = {name: _width(ends) for name, ends in (ranges or {}).items()}
    texts = [_text(tensor.name) for tensor in graph.tensors]
    return [
        {
            "name": name,
            "operator": operator,
            "takes": [makers[index][0] for index in map(int, item.inputs) if index in makers],
            "absorbed": _activation(item, activations),
            "arithmetic": _arithmetic(item, graph, makers, types),
            "ends": [_text(graph.tensors[index].name) for index in item.outputs if index in graph.outputs],
            "largest": _largest(item, operator, model, graph, types),
            "spread": _spread(item, operator, model, graph, types),
            "widths": [widths[texts[at]] for at in item.inputs if at >= 0 and texts[at] in widths],
            "width": max([widths.get(texts[at], 0.0) for at in item.outputs], default=0.0),
        }
        for item, operator, name in found
    ]


def _largest(item: OperatorT, operator: str, model: ModelT, graph: SubGraphT, types: dict[int, str]) -> float:
    """The greatest magnitude among the float constants that it reads, for operators that may be part of a mask."""
    import numpy

    from edgewright.sdk.graphs import MASKING

    found = 0.0
    for values in _held(item, model, graph, types) if operator.lower() in MASKING else ():
        found = max(found, float(numpy.abs(values.astype(numpy.float64)).max()))
    return found


def _spread(item: OperatorT, operator: str, model: ModelT, graph: SubGraphT, types: dict[int, str]) -> float:
    """The spread of the constants that it scales by or adds; 0 for other operators."""
    from edgewright.sdk.graphs import spread

    if operator not in ("MUL", "DIV", "ADD", "SUB"):
        return 0.0
    return max([spread(operator, values) for values in _held(item, model, graph, types)], default=0.0)


def _held(item: OperatorT, model: ModelT, graph: SubGraphT, types: dict[int, str]) -> Iterator[Array]:
    """The float constants that it reads."""
    import numpy

    for index in item.inputs:
        tensor = graph.tensors[index]
        held = model.buffers[tensor.buffer].data if index >= 0 and types[tensor.type] == "FLOAT32" else None
        if held is not None and len(held):
            yield numpy.asarray(held, numpy.uint8).view("<f4")


def _width(ends: dict[str, Array]) -> float:
    """The range that a scale has to cover."""
    return max(float(ends["max"].flat[0]), 0.0) - min(float(ends["min"].flat[0]), 0.0)


def _named(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _text(name: bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _activation(item: OperatorT, activations: dict[int, str]) -> list[str]:
    kind = getattr(item.builtinOptions, "fusedActivationFunction", 0) or 0
    return [activations[kind]] if type(item.builtinOptions).__name__.rstrip("T") in _OPTIONS and kind else []


def _arithmetic(
    item: OperatorT, graph: SubGraphT, makers: dict[int, tuple[str, OperatorT, str]], types: dict[int, str]
) -> str:
    """The arithmetic of an operator with constant weights."""
    if len(item.inputs) < 2 or item.inputs[1] < 0:
        return ""
    data, weight = (_type(int(index), graph, makers, types) for index in item.inputs[:2])
    if data in ("INT8", "UINT8") and weight in ("INT8", "UINT8", "INT4"):
        return "int8"
    if data == "INT16":
        return "int16x8"
    if weight in ("INT8", "INT4"):
        return f"{weight.lower()} weights"
    return _FLOATS.get(weight, "")


def _type(
    index: int, graph: SubGraphT, makers: dict[int, tuple[str, OperatorT, str]], types: dict[int, str]
) -> str:
    """The type of a tensor; if it was dequantised from a constant, the constant's type."""
    _, item, operator = makers.get(index, ("", None, ""))
    if operator == "DEQUANTIZE" and int(item.inputs[0]) not in makers:
        index = int(item.inputs[0])
    return types[graph.tensors[index].type]
