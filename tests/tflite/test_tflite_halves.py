"""A product with constant weights, of a size at which the quantiser writes values behind the model, and a sum."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.nouns.artifact import TensorSpec
from edgewright_targets.tflite import explain, finish, graph

GIVEN, MADE = 512, 600  # of 8 bits, its weights are 300 KiB


def product_net(low: float = 0.0) -> bytes:
    """A .tflite file without a converter: (1, 512) -> BATCH_MATMUL by (512, 600) -> ADD of one value, `low` among 600."""
    model, tensors = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [], [tensors]
    tensors.tensors, tensors.operators, tensors.inputs, tensors.outputs = [], [], [0], [4]
    draw = np.random.default_rng(5)
    added = draw.normal(size=(2, MADE)).astype("<f4")
    added[0, 0] = low
    held = {"w": (draw.normal(size=(GIVEN, MADE)) / GIVEN**0.5).astype("<f4"), "added": added}
    for name, shape in (
        ("x", [1, GIVEN]),
        ("w", [GIVEN, MADE]),
        ("h", [1, MADE]),
        ("added", [2, MADE]),
        ("y", [2, MADE]),
    ):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, schema.TensorType.FLOAT32, 0
        if name in held:
            made.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = held[name].reshape(-1).view(np.uint8)
        tensors.tensors.append(made)
    for kind, ends, out in (("BATCH_MATMUL", [0, 1], 2), ("ADD", [2, 3], 4)):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), ends, [out]
        options = {"BATCH_MATMUL": "BatchMatMulOptions", "ADD": "AddOptions"}[kind]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        model.operatorCodes.append(code)
        tensors.operators.append(operator)
    return graph.packed(model, 4 * GIVEN * MADE)


@pytest.fixture
def finished(net: SimpleNamespace, work: Callable[..., Any]) -> Callable[..., bytes]:
    def made(data: bytes, precision: str, method: str = "minmax") -> bytes:
        order = work(data, precision, calibration_method=method)
        order.inputs = (TensorSpec(name="x", shape=(1, GIVEN), dtype="float32"),)
        order.samples = lambda: ([sample] for sample in samples())
        finish.convert(order)
        return bytes((order.folder / order.entry).read_bytes())

    return made


def samples() -> list[np.ndarray[Any, Any]]:
    return list(np.random.default_rng(6).normal(size=(8, 1, GIVEN)).astype("float32"))


@pytest.mark.parametrize("precision, least", [("fp16", 55), ("int8-weights", 35), ("int8-dynamic", 30)])
def test_weights_of_a_product_are_smaller_and_in_the_model(
    net: SimpleNamespace, finished: Callable[..., bytes], precision: str, least: float
) -> None:
    data = product_net()
    made = finished(data, precision)
    assert len(made) < 0.55 * len(data)
    model = schema.Model.GetRootAsModel(made, 0)
    assert not any(model.Buffers(at).Offset() for at in range(model.BuffersLength()))
    assert sqnr_db(net.answers(data, samples()), net.answers(made, samples())) > least


def test_values_that_halves_cannot_hold_stay_floats(
    net: SimpleNamespace, finished: Callable[..., bytes]
) -> None:
    made = finished(product_net(low=-3.4e38), "fp16")
    (added,) = (one.inputs[1] for one in graph.operators(made) if one.kind == "ADD")
    assert added.constant
    assert np.isfinite(net.answers(made, samples())).all()


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_what_reaches_to_infinity_stays_in_floats(
    net: SimpleNamespace, finished: Callable[..., bytes], method: str
) -> None:
    data = product_net(low=-np.inf)
    made = finished(data, "int8", method)
    kinds = {one.kind: one.outputs[0].type for one in graph.operators(made)}
    assert (kinds["BATCH_MATMUL"], kinds["ADD"]) == ("INT8", "FLOAT32")
    reference, answers = net.answers(data, samples()), net.answers(made, samples())
    assert (answers[:, 0, 0] < -1e38).all()  # LiteRT's sums end at the lowest float
    assert sqnr_db(reference[:, 1], answers[:, 1]) > 25


def test_values_behind_the_model_are_read(finished: Callable[..., bytes]) -> None:
    from ai_edge_quantizer import quantizer

    tool = quantizer.Quantizer(bytearray(graph.with_signature(product_net(low=-1e9))))
    tool.add_weight_only_config("^h;?$", "BATCH_MATMUL", 8)
    behind = bytes(tool.quantize(None, enable_progress_report=False).quantized_model)
    assert schema.Model.GetRootAsModel(behind, 0).Buffers(1).Offset() > 1
    assert explain.written(behind)[-1]["largest"] == 1e9
