"""Stores weights as 16-bit floats for operators that ai-edge-quantizer leaves in float32. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite.graph import drop_unused, opened, packed

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT, OperatorT


_MIN_VALUES = {  # operator -> least number of values of constants that become halves
    "BATCH_MATMUL": 1,
    "GATHER": 1,
    "CONV_3D": 1,
    "CONV_3D_TRANSPOSE": 1,
    "PRELU": 1024,
    "ADD": 1024,
    "SUB": 1024,
    "MUL": 1024,
}
_GREATEST = 65504.0
_DEQUANTIZE_VERSION = 3


def halved(data: bytes) -> bytes:
    """The bytes with such constants as halves, each followed by a DEQUANTIZE, which a runtime computes once.

    Only the first subgraph changes: inside a loop they would be computed each time. Constants beyond the range of halves stay.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = opened(data)
    graph = model.subgraphs[0]
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    wanted = {
        int(at): _MIN_VALUES[codes[operator.opcodeIndex]]
        for operator in graph.operators
        if codes[operator.opcodeIndex] in _MIN_VALUES
        for at in operator.inputs
        if at >= 0
    }
    made = [_widening(schema, model, at) for at, least in wanted.items() if _fits(schema, model, at, least)]
    if not made:
        return data
    graph.operators = [*made, *graph.operators]
    drop_unused(model)
    return packed(model, len(data))


def _fits(schema: Any, model: ModelT, at: int, least: int) -> bool:
    import numpy

    graph = model.subgraphs[0]
    tensor = graph.tensors[at]
    held = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or held is None or not len(held) or at in graph.outputs:
        return False
    values = numpy.asarray(held, numpy.uint8).view("<f4")
    return values.size >= least and bool((numpy.abs(values) <= _GREATEST).all())


def _widening(schema: Any, model: ModelT, at: int) -> OperatorT:
    """Adds a half-precision tensor with the values of a tensor; returns the DEQUANTIZE from the new one to the old one."""
    import copy

    import numpy

    tensors = model.subgraphs[0].tensors
    tensor = tensors[at]
    half, buffer = copy.copy(tensor), schema.BufferT()
    half.name, half.type = (tensor.name or b"") + b"_half", schema.TensorType.FLOAT16
    values = numpy.asarray(model.buffers[tensor.buffer].data, numpy.uint8).view("<f4")
    buffer.data = values.astype("<f2").view(numpy.uint8)
    half.buffer, tensor.buffer = len(model.buffers), 0  # the format requires that the first buffer is empty
    model.buffers.append(buffer)
    tensors.append(half)
    operator = schema.OperatorT()
    operator.opcodeIndex = _code(schema, model)
    operator.inputs, operator.outputs = [len(tensors) - 1], [at]
    return operator


def _code(schema: Any, model: ModelT) -> int:
    kind = schema.BuiltinOperator.DEQUANTIZE
    for at, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == kind and code.version >= _DEQUANTIZE_VERSION:
            return at
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = _DEQUANTIZE_VERSION
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
