"""Models converted by pnnx and run by ncnn: right outputs on new inputs, the source's names and shapes, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from right_outputs import FLOAT, INT32, INT64, UINT8, assert_right

from edgewright.errors import ConversionError, EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright_targets.ncnn import explain

Compiled = Callable[..., Artifact]
Models = Callable[[str], Path]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 3e-6), ("fp16", 6e-3)])
@pytest.mark.parametrize("model", ["cnn", "two_in_two_out", "tokens", "attention"])
def test_outputs_are_the_sources(
    compiled: Compiled, small_models: Models, model: str, precision: str, tolerance: float
) -> None:
    source = small_models("onnx") / f"{model}.onnx"
    made = compiled(source, precision)
    assert_right(made, source, tolerance)
    manifest = made.manifest
    assert sorted(one.path for one in manifest.files) == ["goldens.npz", "model.bin", "model.param"]
    assert manifest.requires == {"release": 20250503}
    assert manifest.parity.sqnr_db > (100 if precision == "fp32" else 50)
    kinds = {row["arithmetic"] for row in explain.shipped(made.folder / manifest.entry)} - {""}
    assert kinds == {precision}


@pytest.mark.parametrize("value", [[], [1.5]], ids=["zeros", "a-value"])
def test_a_pad_without_a_mode_is_constant(
    compiled: Compiled, graph: Callable[..., Path], value: list[float]
) -> None:
    """So tf2onnx writes Keras' ZeroPadding2D, in every MobileNetV2."""
    taken = ["act", "widths", *(["value"] if value else [])]
    source = graph(
        [
            ("Relu", ["x"], ["act"], {}),
            ("Pad", taken, ["padded"], {}),
            ("Conv", ["padded", "kernel"], ["y"], {"group": 4, "kernel_shape": [3, 3], "strides": [2, 2]}),
        ],
        [("x", FLOAT, [1, 4, 8, 8])],
        [("y", FLOAT, [1, 4, 4, 4])],
        {
            "widths": np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64),
            "kernel": np.random.default_rng(4).normal(size=(4, 1, 3, 3)).astype(np.float32),
            **({"value": np.float32(value[0])} if value else {}),
        },
    )
    assert_right(compiled(source), source, 3e-6)


def test_names_and_shapes_are_the_sources(compiled: Compiled, small_models: Models) -> None:
    manifest = compiled(small_models("onnx") / "two_in_two_out.onnx").manifest
    assert [(one.name, one.bound, one.shape) for one in (*manifest.inputs, *manifest.outputs)] == [
        ("right", "in0", (1, 4)), ("left", "in1", (1, 4)), ("total", "out0", (1, 3)), ("gap", "out1", (1, 3)),
    ]  # fmt: skip


def test_the_same_model_gives_the_same_artifact(compiled: Compiled, small_models: Models) -> None:
    source = small_models("onnx") / "cnn.onnx"
    assert len({compiled(source, use_cache=False).id for _ in range(2)}) == 1


@pytest.mark.slow
def test_a_keras_model_with_channels_last(compiled: Compiled, small_models: Models) -> None:
    made = compiled(small_models("keras") / "cnn.keras").manifest
    assert [(one.name, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("image", (1, 16, 16, 3)), ("classes", (1, 5)),
    ]  # fmt: skip
    assert made.parity.sqnr_db > 100
    assert made.route == ("tensorflow:_onnx.from_tensorflow", "onnx:ncnn.finish")


def test_a_picture_with_channels_last_and_an_image_as_output(compiled: Compiled, graph: Any) -> None:
    source = graph(
        [
            ("Transpose", ["x"], ["planes"], {"perm": [0, 3, 1, 2]}),
            ("Conv", ["planes", "kernel"], ["c"], {}),
            ("Transpose", ["c"], ["y"], {"perm": [0, 2, 3, 1]}),
        ],
        [("x", FLOAT, [1, 9, 7, 3])], [("y", FLOAT, [1, 7, 5, 2])],
        {"kernel": np.random.default_rng(3).normal(size=(2, 3, 3, 3)).astype("float32")},
    )  # fmt: skip
    assert_right(compiled(source), source, 1e-5)


def test_outputs_that_are_the_same_tensor_keep_their_names(compiled: Compiled, graph: Any) -> None:
    source = graph(
        [("Sin", ["x"], ["y"], {}), ("Identity", ["y"], ["z"], {}), ("Cos", ["y"], ["w"], {})],
        [("x", FLOAT, [1, 10])], [(name, FLOAT, [1, 10]) for name in "yzw"],
    )  # fmt: skip
    made = compiled(source)
    assert [one.name for one in made.manifest.outputs] == ["y", "z", "w"]
    assert_right(made, source, 1e-5)


def test_an_input_that_nothing_reads_stays_an_input(compiled: Compiled, graph: Any) -> None:
    ends = [("x", FLOAT, [1, 10]), ("unread", FLOAT, [1, 10])]
    source = graph([("Sin", ["x"], ["y"], {})], ends, [("y", FLOAT, [1, 10])])
    made = compiled(source)
    assert [one.name for one in made.manifest.inputs] == ["x", "unread"]
    assert_right(made, source, 1e-5)


def test_indexes_of_32_bits_that_the_model_converts_first(compiled: Compiled, graph: Any) -> None:
    random = np.random.default_rng(4)
    source = graph(
        [
            ("Cast", ["x"], ["wide"], {"to": INT64}), ("Gather", ["table", "wide"], ["rows"], {}),
            ("Reshape", ["rows", "flat"], ["r"], {}), ("MatMul", ["r", "dense"], ["y"], {}),
        ],
        [("x", INT32, [1, 12])], [("y", FLOAT, [1, 4])],
        {
            "table": random.normal(size=(16, 6)).astype("float32"), "flat": np.array([1, 72]),
            "dense": random.normal(size=(72, 4)).astype("float32"),
        },
    )  # fmt: skip
    made = compiled(source)
    assert made.manifest.inputs[0].dtype == "int32"
    assert_right(made, source, 1e-4)


def test_an_operation_that_the_older_release_lacks_is_required(compiled: Compiled, graph: Any) -> None:
    source = graph(
        [("Mod", ["x", "two"], ["y"], {"fmod": 1})], [("x", FLOAT, [1, 10])], [("y", FLOAT, [1, 10])], {"two": np.float32(2)}
    )  # fmt: skip
    assert compiled(source).manifest.requires == {"release": 20261020}


X, Y = ("x", FLOAT, [1, 10]), ("y", FLOAT, [1, 10])
REFUSED = {
    "operator": (
        [("CumSum", ["x", "axis"], ["y"], {"name": "running/total"})], [X], [Y], {"axis": np.int64(1)},
        "operator-unknown", r"pnnx cannot convert operators of this model to ncnn: CumSum \(running/total\)",
    ),
    "renamed operator": (
        [("Greater", ["x", "zero"], ["m"], {}), ("Where", ["m", "x", "zero"], ["y"], {"name": "choice"})], [X], [Y],
        {"zero": np.float32(0.3)}, "operator-unknown", r"Where \(choice\)",
    ),
    "five axes": (
        [("Transpose", ["x"], ["y"], {"perm": [0, 4, 3, 2, 1], "name": "turn"})],
        [("x", FLOAT, [1, 2, 3, 4, 5])], [("y", FLOAT, [1, 5, 4, 3, 2])], {}, "conversion-failed", "5-rank tensor is not supported",
    ),
    "integer output": (
        [("ArgMax", ["x"], ["y"], {"axis": 1})], [X], [("y", INT64, [1, 1])], {},
        "conversion-failed", "output y is int64, but ncnn computes in floats only",
    ),
    "comparison": (
        [("Less", ["x", "zero"], ["m"], {"name": "below"}), ("Cast", ["m"], ["y"], {"to": FLOAT, "name": "number"})], [X], [Y],
        {"zero": np.float32(0.3)}, "operator-unknown", r"Cast \(number\)",
    ),
    "bytes as input": (
        [("Cast", ["x"], ["f"], {"to": FLOAT}), ("Sin", ["f"], ["y"], {})], [("x", UINT8, [1, 10])], [Y], {},
        "conversion-failed", "input x is uint8, and ncnn takes integers only as indexes of an embedding",
    ),
    "input as output": (
        [("Sin", ["x"], ["y"], {}), ("Identity", ["x"], ["z"], {})], [X], [Y, ("z", FLOAT, [1, 10])], {},
        "conversion-failed", "output z is the input x, unchanged",
    ),
    "open shape": ([("Sin", ["x"], ["y"], {})], [("x", FLOAT, [1, "n"])], [("y", FLOAT, [1, "n"])], {}, "dynamic-shape", "x"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_ncnn_cannot_run_is_refused_by_name(compiled: Compiled, graph: Any, what: str) -> None:
    *model, code, words = REFUSED[what]
    with pytest.raises(EdgewrightError, match=words) as caught:
        compiled(graph(*model))
    assert caught.value.code == code and caught.value.hint


def test_recurrent_layers_are_refused_by_name(compiled: Compiled, small_models: Models) -> None:
    with pytest.raises(ConversionError, match="to ncnn: LSTM"):
        compiled(small_models("onnx") / "lstm.onnx")


def test_ranges_at_run_time_are_refused_with_what_there_is(compiled: Compiled, small_models: Models) -> None:
    with pytest.raises(EdgewrightError, match="precision not available on ncnn: int8-dynamic") as caught:
        compiled(small_models("onnx") / "cnn.onnx", "int8-dynamic")
    assert caught.value.hint == "available are fp32, fp16, int8, int8-mixed"
