"""The stage that quantises a float file, on one made by hand: no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.errors import ConversionError, UsageError
from edgewright.precisions import PRECISIONS
from edgewright_targets.tflite import activation_ranges, finish, graph, quantize

FLOAT, INT = "FLOAT32", "INT8"
# precision: types of the first dense layer's input, weights and output; least SQNR, dB
EXPECTED = {
    "fp32": ((FLOAT, FLOAT, FLOAT), 150),
    "fp16": ((FLOAT, FLOAT, FLOAT), 50),
    "int8-dynamic": ((FLOAT, INT, FLOAT), 30),
    "int8-weights": ((FLOAT, FLOAT, FLOAT), 30),
    "int4-weights": ((FLOAT, FLOAT, FLOAT), 10),
    "int8": ((INT, INT, INT), 25),
    "int16x8": (("INT16", INT, "INT16"), 30),
}
STORED = {"fp16": "FLOAT16", "int8-weights": "INT8", "int4-weights": "INT4"}  # what is made floats before use


def dense(data: bytes) -> list[graph.Operator]:
    return [operator for operator in graph.operators(data) if operator.kind == "FULLY_CONNECTED"]


def types(operator: graph.Operator) -> tuple[str, str, str]:
    return operator.inputs[0].type, operator.inputs[1].type, operator.outputs[0].type


@pytest.mark.parametrize("precision", EXPECTED)
def test_each_precision_is_what_it_says_and_answers_like_the_floats(
    net: SimpleNamespace, work: Callable[..., Any], precision: str
) -> None:
    data = net.bytes()
    order = work(data, precision)
    said = finish.convert(order)
    made = (order.folder / order.entry).read_bytes()
    wanted, least = EXPECTED[precision]
    assert types(dense(made)[0]) == wanted
    stored = {operator.inputs[0].type for operator in graph.operators(made) if operator.kind == "DEQUANTIZE"}
    assert stored == ({STORED[precision]} if precision in STORED else {wanted[2]} - {FLOAT})
    fresh = net.samples(16, seed=9)
    reference = net.answers(data, fresh)
    assert np.ptp(reference, axis=0).min() > 0.5
    assert sqnr_db(reference, net.answers(made, fresh)) > least
    assert (said["inputs"][0]["name"], said["inputs"][0]["dtype"]) == ("x", "float32")
    assert said["outputs"][0]["dtype"] == "float32"
    assert said["method"] == ("min-max" if PRECISIONS[precision].calibrated else "")
    assert said["requires"]["FULLY_CONNECTED"] <= 11
    assert said["requires"].get("DEQUANTIZE", 1) == (6 if precision == "int4-weights" else 1)


@pytest.mark.parametrize("precision", EXPECTED)
def test_a_source_of_halves_becomes_what_is_asked_for(
    net: SimpleNamespace, work: Callable[..., Any], precision: str
) -> None:
    order = work(net.bytes(), "fp16")
    finish.convert(order)
    halves = (order.folder / order.entry).read_bytes()
    order = work(halves, precision)
    finish.convert(order)
    made = (order.folder / order.entry).read_bytes()
    wanted, least = EXPECTED[precision]
    assert types(dense(made)[0]) == wanted
    stored = {operator.inputs[0].type for operator in graph.operators(made) if operator.kind == "DEQUANTIZE"}
    assert ("FLOAT16" in stored) == (precision == "fp16")
    fresh = net.samples(16, seed=9)
    assert sqnr_db(net.answers(halves, fresh), net.answers(made, fresh)) > least


def test_integers_are_taken_as_they_are_only_where_the_stage_before_made_them(
    net: SimpleNamespace, work: Callable[..., Any]
) -> None:
    order = work(net.bytes(), "int8")
    finish.convert(order)
    integers = (order.folder / order.entry).read_bytes()
    with pytest.raises(
        ConversionError, match="cannot be made int4-weights: parts of it are quantised"
    ) as caught:
        finish.convert(work(integers, "int4-weights"))
    assert caught.value.code == "quantised-already"
    order = work(integers, "int8")
    (order.path.parent / finish.QUANTISED).touch()
    finish.convert(order)
    assert (order.folder / order.entry).read_bytes() == integers


def test_dense_layers_have_one_scale_where_old_runtimes_read_only_one(
    net: SimpleNamespace, work: Callable[..., Any]
) -> None:
    scales = {}
    for precision in ("int8-dynamic", "int8"):
        order = work(net.bytes(), precision)
        finish.convert(order)
        scales[precision] = dense((order.folder / order.entry).read_bytes())[0].inputs[1].scales
    assert scales == {"int8-dynamic": 1, "int8": 3}


def test_integers_at_both_ends_carry_their_scales(net: SimpleNamespace, work: Callable[..., Any]) -> None:
    order = work(net.bytes(), "int8", integer_io=True)
    said = finish.convert(order)
    given, made = said["inputs"][0], said["outputs"][0]
    assert (given["dtype"], made["dtype"]) == ("int8", "int8")
    fresh = net.samples(16, seed=9)
    asked = [
        np.clip(np.rint(x / given["scale"]) + given["zero_point"], -128, 127).astype("int8") for x in fresh
    ]
    raw = net.answers((order.folder / order.entry).read_bytes(), asked).astype(float)
    real = (raw - made["zero_point"]) * made["scale"]
    assert sqnr_db(net.answers(net.bytes(), fresh), real) > 20


@pytest.mark.parametrize("name", ["first", "net/first/MatMul"])
def test_a_layer_that_was_named_stays_in_floats_and_no_other(
    net: SimpleNamespace, work: Callable[..., Any], name: str
) -> None:
    order = work(net.bytes(), "int8-mixed", keep_float=(name,))
    said = finish.convert(order)
    assert said["kept_float"] == [name]
    assert said["notes"] == ["in floats: net/first/MatMul"]
    first, last = dense((order.folder / order.entry).read_bytes())
    assert types(first) == (FLOAT, FLOAT, FLOAT)
    assert types(last)[:2] == (INT, INT)


def test_a_layer_that_is_not_there_is_an_error_that_names_the_nearest(
    net: SimpleNamespace, work: Callable[..., Any]
) -> None:
    with pytest.raises(UsageError, match="model has no such layer to keep in floats: frist") as caught:
        finish.convert(work(net.bytes(), "int8-mixed", keep_float=("frist",)))
    assert (caught.value.code, "first" in caught.value.hint) == ("no-such-layer", True)


@pytest.mark.parametrize(
    ("name", "word"), [("FlexErf", "TensorFlow's own"), ("MyOperator", "replace those layers")]
)
def test_operators_that_no_board_has_are_refused_by_name(
    net: SimpleNamespace, work: Callable[..., Any], name: str, word: str
) -> None:
    with pytest.raises(ConversionError, match=name) as caught:
        finish.convert(work(net.bytes(custom=name), "int8"))
    assert caught.value.code == "custom-operators"
    assert word in caught.value.hint


def test_a_file_that_does_not_load_is_refused(net: SimpleNamespace, work: Callable[..., Any]) -> None:
    data = bytearray(net.bytes())
    at = data.index(
        np.array([3, 4], "<i4").tobytes()
    )  # the first layer's weights now say that they take 5 values
    data[at + 4 : at + 8] = np.array([5], "<i4").tobytes()
    with pytest.raises(ConversionError, match="does not load"):
        finish.convert(work(bytes(data), "fp32"))


def test_ranges_are_the_least_and_greatest_values_and_percentiles_leave_outliers_out(
    net: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [sample * 0.1 for sample in net.samples(400)]
    given[7] = np.full((1, 4), 50.0, "float32")
    widest = activation_ranges.ranges(net.bytes(), lambda: ([sample] for sample in given), "minmax")
    assert set(widest) == {"x", "net/first/MatMul", "y"}  # weights are not activations
    assert (widest["x"]["max"].item(), widest["x"]["min"].item()) == (
        50.0,
        np.float32(min(map(np.min, given))),
    )
    assert widest["x"]["max"].shape == (1, 1)
    monkeypatch.setattr(activation_ranges, "COVERED", 0.99)
    less = activation_ranges.ranges(net.bytes(), lambda: ([sample] for sample in given), "percentile")
    high, low = less["x"]["max"].item(), less["x"]["min"].item()
    assert -0.5 < low < 0 < high < 0.5
    everything = np.concatenate([sample.ravel() for sample in given])
    assert np.mean((everything > high) | (everything < low)) <= 1 - activation_ranges.COVERED


@pytest.mark.parametrize("method", ["minmax", "percentile"])
@pytest.mark.parametrize(("precision", "least"), [("int8", 25), ("int16x8", 30)])
def test_paddings_and_concatenations_cost_no_exactness(
    net: SimpleNamespace, work: Callable[..., Any], precision: str, least: float, method: str
) -> None:
    data, generator = net.pooled(), np.random.default_rng(5)
    given = [generator.normal(size=(1, 8, 8, 2)).astype("float32") for _ in range(48)]
    order = work(data, precision, calibration_method=method)
    order.samples = lambda: ([sample] for sample in given[:32])
    finish.convert(order)
    made = (order.folder / order.entry).read_bytes()
    integers = {"int8": "INT8", "int16x8": "INT16"}[precision]
    padded = [operator for operator in graph.operators(made) if operator.kind == "PADV2"]
    assert [(one.inputs[0].type, one.inputs[2].type) for one in padded] == [(integers, integers)] * 2
    joins = [operator for operator in graph.operators(made) if operator.kind == "CONCATENATION"]
    assert joins[1].inputs[0].name == joins[0].outputs[0].name == "joined"  # not rounded again
    reference = net.answers(data, given[32:])
    assert (reference[:, 0, 0] < -0.5).any()  # a border of zeros would be seen
    assert sqnr_db(reference, net.answers(made, given[32:])) > least


def test_a_kept_operator_that_is_gone_is_an_error(net: SimpleNamespace) -> None:
    names = [operator.outputs[0].name for operator in graph.operators(net.bytes())]
    quantize.check_kept(net.bytes(), names)
    with pytest.raises(ConversionError, match="not in the quantised file: another") as caught:
        quantize.check_kept(net.bytes(), [*names, "another"])
    assert caught.value.code == "not-kept-float"


def reshaped(data: bytes) -> bytes:
    """`float_net` whose output is reshaped to as many values as the place of its greatest: it has more, whatever that is."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    net = model.subgraphs[0]
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.array([1], "<i4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    for name, shape, kind, at in (("axis", [1], "INT32", len(model.buffers) - 1), ("place", [1], "INT32", 0), ("z", [2], FLOAT, 0)):  # fmt: skip
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = (
            name,
            shape,
            getattr(schema.TensorType, kind),
            at,
        )
        net.tensors.append(tensor)
    axis, place, made = range(len(net.tensors) - 3, len(net.tensors))
    for kind, options, ends, out in (("ARG_MAX", "ArgMaxOptions", [6, axis], place), ("RESHAPE", "ReshapeOptions", [6, place], made)):  # fmt: skip
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), ends, [out]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        if kind == "ARG_MAX":
            operator.builtinOptions.outputType = schema.TensorType.INT32
        model.operatorCodes.append(code)
        net.operators.append(operator)
    net.outputs = [made]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_file_that_loads_and_does_not_run_without_delegates_is_refused(
    net: SimpleNamespace, work: Callable[..., Any]
) -> None:
    with pytest.raises(ConversionError, match=r"does not run: .*RESHAPE") as refused:
        finish.convert(work(reshaped(net.bytes()), "fp32"))
    assert refused.value.code == "conversion-failed"
