"""A PACK with a constant among its parts stays in floats: the quantiser gives such a constant scales of another rank."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import TensorSpec
from edgewright_targets.tflite import finish, graph, quantize


def packed_net(data: bytes) -> bytes:
    """`float_net` with its answer and a constant stacked: (2, 1, 2)."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    (net,) = model.subgraphs
    values = schema.BufferT()
    values.data = np.frombuffer(np.array([[0.7, -1.3]], "<f4").tobytes(), np.uint8)
    model.buffers.append(values)
    for name, shape, buffer in (("kept", [1, 2], len(model.buffers) - 1), ("packed", [2, 1, 2], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, schema.TensorType.FLOAT32, buffer
        net.tensors.append(tensor)
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.PACK
    code.version, operator.opcodeIndex = 1, len(model.operatorCodes)
    operator.inputs, operator.outputs = [6, len(net.tensors) - 2], [len(net.tensors) - 1]
    operator.builtinOptionsType = schema.BuiltinOptions.PackOptions
    operator.builtinOptions = schema.PackOptionsT()
    operator.builtinOptions.valuesCount, operator.builtinOptions.axis = 2, 0
    model.operatorCodes.append(code)
    net.operators.append(operator)
    net.outputs = [len(net.tensors) - 1]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("precision", "least_db"), [("int8", 25), ("int16x8", 30)])
def test_a_packed_constant_stays_in_floats(
    net: SimpleNamespace, work: Callable[..., Any], precision: str, least_db: float
) -> None:
    data = packed_net(net.bytes())
    order = work(data, precision)
    order.outputs = (TensorSpec(name="packed", shape=(2, 1, 2), dtype="float32"),)
    finish.convert(order)
    made = (order.folder / order.entry).read_bytes()
    kinds = {operator.kind: operator for operator in graph.operators(made)}
    assert {tensor.type for tensor in kinds["PACK"].inputs} == {"FLOAT32"}
    assert kinds["FULLY_CONNECTED"].inputs[1].type == "INT8"
    fresh = net.samples(16, seed=9)
    assert sqnr_db(net.answers(data, fresh), net.answers(made, fresh)) > least_db


def test_what_the_quantiser_refuses_is_one_line_and_a_hint(
    net: SimpleNamespace, work: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "_leave_packed_constants", lambda *_: None)  # as for what is not known yet
    with pytest.raises(ConversionError, match="ai-edge-quantizer cannot quantise the model: ") as caught:
        finish.convert(work(packed_net(net.bytes()), "int8"))
    assert "\n" not in caught.value.message and caught.value.code == "conversion-failed"
    assert "--keep-float" in caught.value.hint
