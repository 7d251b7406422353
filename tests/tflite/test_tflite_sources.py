"""Every kind of source becomes a .tflite file that keeps its inputs and answers like it, in each precision."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Artifact
from edgewright_targets.tflite import graph

pytestmark = pytest.mark.slow

Convert = Callable[..., Artifact]
Models = Callable[[str], Path]
FLOAT_ARITHMETIC = ("int8-weights", "int4-weights")


def operators(artifact: Artifact) -> list[graph.Operator]:
    return graph.operators((artifact.folder / artifact.manifest.entry).read_bytes())


def weights(artifact: Artifact) -> set[str]:
    """Types of the constants that convolutions and dense layers are given, directly or through a DEQUANTIZE."""
    found = operators(artifact)
    behind = {one.outputs[0].name: one.inputs[0] for one in found if one.kind == "DEQUANTIZE"}
    layers = [one for one in found if one.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    return {behind.get(one.inputs[1].name, one.inputs[1]).type for one in layers}


def goldens_differ(artifact: Artifact) -> bool:
    with np.load(artifact.folder / artifact.manifest.goldens.file) as goldens:
        outputs = goldens["output_0"]
    return bool(np.abs(outputs - outputs[:1]).max() > 0.05 * np.abs(outputs).max())


@pytest.mark.parametrize(
    ("precision", "types", "least"),
    [
        ("fp32", {"FLOAT32"}, 100), ("fp16", {"FLOAT16"}, 50), ("int8-dynamic", {"INT8"}, 25), ("int8", {"INT8"}, 20),
        ("int16x8", {"INT8"}, 35), ("int8-weights", {"INT8"}, 35), ("int4-weights", {"INT4"}, 15),
    ],
)  # fmt: skip
@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["keras", "tflite"])
def test_each_precision_from_keras_and_from_a_float_file(
    small_models: Models, convert: Convert, kind: str, precision: str, types: set[str], least: float
) -> None:
    artifact = convert(small_models("keras") / f"cnn.{kind}", precision)
    manifest = artifact.manifest
    assert goldens_differ(artifact)
    assert manifest.parity.sqnr_db > least
    assert types <= weights(artifact) <= types | {"FLOAT32"}  # small layers may stay as they are
    assert manifest.inputs[0].shape == (1, 16, 16, 3)
    assert manifest.inputs[0].dtype == manifest.outputs[0].dtype == "float32"
    activations = {tensor.type for one in operators(artifact) if one.kind == "ADD" for tensor in one.outputs}
    assert activations == {{"int8": "INT8", "int16x8": "INT16"}.get(precision, "FLOAT32")}
    assert manifest.route[-1] == "litert:tflite.finish"


def test_several_ends_keep_their_order(small_models: Models, convert: Convert) -> None:
    for source in (
        small_models("keras") / "two_in_two_out.keras",
        small_models("torch") / "two_in_two_out.pt2",
    ):
        for precision in ("fp32", "int8"):
            manifest = convert(source, precision).manifest
            assert manifest.parity.sqnr_db > 20
            assert [spec.shape for spec in manifest.inputs + manifest.outputs] == [
                (1, 4),
                (1, 4),
                (1, 3),
                (1, 3),
            ]


@pytest.mark.parametrize("name", ["conv2d", "conv2d_1", "depthwise_conv2d", "classes"])
def test_the_layer_of_that_name_in_the_source_stays_in_floats(
    small_models: Models, convert: Convert, name: str
) -> None:
    artifact = convert(small_models("keras") / "cnn.keras", "int8-mixed", keep=[name])
    assert artifact.manifest.kept_float == (name,)
    layers = [
        one for one in operators(artifact) if one.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]
    kept = [one.inputs[1].type == "FLOAT32" for one in layers]
    order = ("conv2d", "depthwise_conv2d", "conv2d_1", "classes")
    assert kept == [name == layer for layer in order]
    assert artifact.manifest.parity.sqnr_db > 20


def test_a_recurrent_layer_is_calibrated_unrolled(small_models: Models, convert: Convert) -> None:
    for precision in ("int8", "int8-mixed"):
        artifact = convert(
            small_models("keras") / "lstm.keras", precision, keep=["scores"] * (precision != "int8")
        )
        assert artifact.manifest.parity.sqnr_db > 20
        assert "WHILE" not in {one.kind for one in operators(artifact)}
    assert "WHILE" in {one.kind for one in operators(convert(small_models("keras") / "lstm.keras", "fp32"))}


def test_a_recurrent_layer_gives_the_same_file_in_another_process(
    small_models: Models, convert: Convert, tmp_path: Path
) -> None:
    source = small_models("keras") / "lstm.keras"
    with Workers(tmp_path / "log") as others:
        again = convert(source, "int8", workers=others)
    assert convert(source, "int8").id == again.id


@pytest.mark.parametrize("name", ["lstm_saved", "gru.tflite"])
def test_a_loop_that_cannot_be_unrolled_is_refused_and_not_a_crash(
    small_models: Models, convert: Convert, name: str
) -> None:
    for precision in ("int8", "int16x8"):
        with pytest.raises(ConversionError, match="has a loop") as caught:
            convert(small_models("keras") / name, precision)
        assert caught.value.code == "loop-not-calibrated"
    assert convert(small_models("keras") / name, "int8-dynamic").manifest.parity.sqnr_db > 20


def test_int16x8_goes_on_in_floats_where_an_operator_has_no_16_bit_form(
    small_models: Models, convert: Convert
) -> None:
    for name in ("tokens", "attention"):
        artifact = convert(small_models("keras") / f"{name}.keras", "int16x8")
        assert artifact.manifest.parity.sqnr_db > 25
        assert "INT16" in {tensor.type for one in operators(artifact) for tensor in one.outputs}


MAKE_FLEX = """
import sys, tensorflow as tf
net = tf.Module()
net.serve = tf.function(lambda x: {"y": tf.math.erfinv(tf.tanh(x) * 0.5)}, [tf.TensorSpec((1, 4), name="x")], autograph=False)
tf.saved_model.save(net, sys.argv[1], signatures=net.serve.get_concrete_function())
"""


def test_operators_that_only_tensorflow_has_are_refused_by_their_names(
    convert: Convert, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", MAKE_FLEX, str(tmp_path / "flex")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for precision in ("fp32", "int16x8", "int8-weights"):
        with pytest.raises(ConversionError, match="does not have: Erfinv") as caught:
            convert(tmp_path / "flex", precision)
        assert caught.value.code == "custom-operators"


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_methods_of_calibration(small_models: Models, convert: Convert, method: str) -> None:
    manifest = convert(small_models("keras") / "cnn.keras", "int8", method=method).manifest
    assert manifest.calibration.method == {"minmax": "min-max", "percentile": "percentile 99.99"}[method]
    assert manifest.parity.sqnr_db > 20


@pytest.mark.parametrize(
    ("name", "inputs", "precisions"),
    [
        ("cnn", [(1, 3, 16, 16)], ("fp32", "int8", "int4-weights")),
        ("tokens", [(1, 12)], ("fp32", "int8-dynamic")),
    ],
)
def test_pytorch_keeps_its_shapes_and_whole_numbers(
    small_models: Models,
    convert: Convert,
    name: str,
    inputs: list[tuple[int, ...]],
    precisions: tuple[str, ...],
) -> None:
    for precision in precisions:
        artifact = convert(small_models("torch") / f"{name}.pt2", precision)
        manifest = artifact.manifest
        assert goldens_differ(artifact)
        assert [spec.shape for spec in manifest.inputs] == inputs
        assert manifest.parity.sqnr_db > (100 if precision == "fp32" else 15)
        with np.load(artifact.folder / manifest.goldens.file) as goldens:
            assert goldens["input_0"].dtype.name == manifest.inputs[0].dtype


def save_graph(path: Path, opset: int, given: list[int], made: list[int], *nodes: Any) -> None:
    """An ONNX graph from `image` to `y` with one weight, `kernel` (5, 3, 3, 3)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(4).normal(size=(5, 3, 3, 3)).astype("float32")
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7), str(path)
    )


def nhwc(path: Path) -> None:
    """The input is NHWC; the convolution has a name."""
    save_graph(
        path, 13, [1, 6, 9, 3], [1, 5],
        ("Transpose", ["image"], ["chw"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["chw", "kernel"], ["conv"], {"name": "the_conv"}),
        ("ReduceMean", ["conv"], ["y"], {"axes": [2, 3], "keepdims": 0}),
    )  # fmt: skip


def old_softmax(path: Path) -> None:
    """Opset 9, where a Softmax of axis 1 is over channels, rows and columns together; the output is NCHW."""
    save_graph(
        path, 9, [1, 3, 6, 7], [1, 5, 4, 5],
        ("Conv", ["image", "kernel"], ["conv"], {}), ("Softmax", ["conv"], ["y"], {"axis": 1}),
    )  # fmt: skip


def flattened(path: Path) -> None:
    """Two heads, flattened to a shape that is computed, as `flatten(2)` is traced, joined and turned round."""
    save_graph(
        path, 13, [1, 3, 12, 12], [1, 100, 10],
        ("Conv", ["image", "kernel"], ["a"], {}), ("Sigmoid", ["a"], ["b"], {}), ("Shape", ["a"], ["shape"], {}),
        ("Constant", [], ["zero"], {"value_ints": [0]}), ("Constant", [], ["two"], {"value_ints": [2]}),
        ("Constant", [], ["rest"], {"value_ints": [-1]}), ("Slice", ["shape", "zero", "two"], ["start"], {}),
        ("Concat", ["start", "rest"], ["flat"], {"axis": 0}), ("Reshape", ["a", "flat"], ["c"], {}),
        ("Reshape", ["b", "flat"], ["d"], {}), ("Concat", ["c", "d"], ["joined"], {"axis": 1}),
        ("Transpose", ["joined"], ["y"], {"perm": [0, 2, 1]}),
    )  # fmt: skip


def picture(path: Path) -> None:
    """A picture comes out, NCHW, whose axes have one size."""
    save_graph(
        path, 13, [1, 3, 12, 12], [1, 5, 5, 5],
        ("Conv", ["image", "kernel"], ["conv"], {}),
        ("MaxPool", ["conv"], ["y"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    )  # fmt: skip


def test_onnx_by_the_toolchain(
    small_models: Models,
    convert: Convert,
    onnx2tf_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(small_models("onnx") / "cnn.onnx", "fp32")
    assert caught.value.hint == "edgewright toolchain install onnx2tf"
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(onnx2tf_home))
    nhwc(tmp_path / "nhwc.onnx")
    old_softmax(tmp_path / "old.onnx")
    picture(tmp_path / "picture.onnx")
    flattened(tmp_path / "flattened.onnx")
    for source, shapes, precisions in (
        (small_models("onnx") / "cnn.onnx", [(1, 3, 16, 16)], ("fp32", "int8")),
        (tmp_path / "nhwc.onnx", [(1, 6, 9, 3)], ("fp32", "int16x8")),
        (tmp_path / "old.onnx", [(1, 3, 6, 7)], ("fp32",)),
        (tmp_path / "picture.onnx", [(1, 3, 12, 12)], ("fp32", "int8")),
        (tmp_path / "flattened.onnx", [(1, 3, 12, 12)], ("int8",)),
        (small_models("onnx") / "two_in_two_out.onnx", [(1, 4), (1, 4)], ("fp32",)),
        (small_models("onnx") / "tokens.onnx", [(1, 12)], ("fp32",)),
    ):
        for precision in precisions:
            artifact = convert(source, precision)
            manifest = artifact.manifest
            assert [spec.shape for spec in manifest.inputs] == shapes
            assert manifest.parity.sqnr_db > (100 if precision == "fp32" else 20)
            assert manifest.tools["toolchain onnx2tf"].startswith("2.6.9, Python 3.12.")
            assert goldens_differ(artifact)
            assert (artifact.folder / "layers.json").exists() is False
    assert manifest.inputs[0].dtype == "int64"
    mixed = convert(tmp_path / "nhwc.onnx", "int8-mixed", keep=["the_conv"])
    assert {one.inputs[1].type for one in operators(mixed) if one.kind == "CONV_2D"} == {"FLOAT32"}
    with pytest.raises(ConversionError) as caught:
        convert(small_models("onnx") / "lstm.onnx", "fp32")
    assert caught.value.code in ("custom-operators", "conversion-failed")
