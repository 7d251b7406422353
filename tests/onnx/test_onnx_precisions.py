"""Every precision of ONNX Runtime on real small models: what is in the file, and that it answers right."""

from collections import Counter

import numpy as np
import pytest

from edgewright.errors import ConversionError, UsageError

FLOOR_DB = {
    "fp32": 100, "fp16": 45, "int8-dynamic": 25, "int8": 25, "int16x8": 30, "int8-weights": 30, "int4-weights": 15,
}  # fmt: skip


@pytest.mark.parametrize("precision", FLOOR_DB)
@pytest.mark.parametrize("name", ["cnn", "tokens", "two_in_two_out", "lstm", "attention"])
def test_answers_like_the_source(made, small_models, answers_of, name, precision):
    artifact = made(small_models("onnx") / f"{name}.onnx", precision)
    assert artifact.manifest.parity.sqnr_db > FLOOR_DB[precision]
    assert artifact.manifest.route == ("onnx:_onnx.from_onnx", "onnx:onnxruntime.finish")
    for output in answers_of(artifact):
        assert (
            np.abs(output - output[0]).max() > 0.01 * np.abs(output).max()
        )  # else parity would prove nothing


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_what_stays_in_floats_is_not_called_int8_dynamic(made, write, kind):
    random, gates = np.random.default_rng(0), 3 if kind == "GRU" else 1
    weights = {
        "w": random.normal(size=(1, gates * 16, 8)).astype("float32") / 4,
        "r": random.normal(size=(1, gates * 16, 16)).astype("float32") / 4,
    }
    nodes = [(kind, ["x", "w", "r"], ["y"], {"hidden_size": 16})]
    source = write("cell.onnx", nodes, {"x": (5, 1, 8)}, {"y": (5, 1, 1, 16)}, weights)
    with pytest.raises(ConversionError, match="nothing of the model was quantised") as caught:
        made(source, "int8-dynamic")
    assert caught.value.code == "nothing-quantised"
    assert "int8-weights" in caught.value.hint
    assert made(source, "int8-weights").manifest.parity.sqnr_db > 25


def kinds(model):
    """How often each operator is there, by domain and name."""
    return Counter((node.domain, node.op_type) for node in model.graph.node)


def weights(model):
    """{initialiser: its numpy dtype}."""
    from onnx import helper

    return {
        item.name: helper.tensor_dtype_to_np_dtype(item.data_type).name for item in model.graph.initializer
    }


def test_int8_weights_are_int8_a_scale_a_channel(made, small_models, graph_of):
    artifact = made(small_models("onnx") / "cnn.onnx", "int8-weights")
    model = graph_of(artifact)
    found = weights(model)
    scales = {item.name: item.dims for item in model.graph.initializer}
    widened = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert len(widened) == 4  # three convolutions and the product at the end
    assert all(found[node.input[0]] == "int8" for node in widened)
    assert sorted(list(scales[node.input[1]]) for node in widened) == [[5], [8], [8], [8]]
    assert kinds(model)["", "QuantizeLinear"] == 0
    fp32 = made(small_models("onnx") / "cnn.onnx", "fp32")
    assert artifact.manifest.model_bytes < fp32.manifest.model_bytes
    assert artifact.manifest.requires == {"opset": 13, "ir": 7}  # the oldest runtimes read it


def test_int8_weights_of_a_table_are_widened_after_the_lookup(made, small_models, graph_of):
    model = graph_of(made(small_models("onnx") / "tokens.onnx", "int8-weights"))
    gather = next(node for node in model.graph.node if node.op_type == "Gather")
    assert weights(model)[gather.input[0]] == "int8"
    assert any(
        node.op_type == "DequantizeLinear" and node.input[0] == gather.output[0] for node in model.graph.node
    )


def test_int4_weights_use_the_runtimes_own_product_and_say_so(made, small_models, graph_of):
    artifact = made(small_models("onnx") / "attention.onnx", "int4-weights")
    found = kinds(graph_of(artifact))
    assert found["com.microsoft", "MatMulNBits"] == 6  # the Gemm at the end among them
    assert found["", "MatMul"] == 2  # activations by activations
    assert artifact.manifest.requires["contrib"] == 17


def test_int4_refuses_a_model_without_products(made, write):
    kernel = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype("float32")
    nodes = [("Conv", ["x", "kernel"], ["y"], {})]
    source = write("conv.onnx", nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 4, 6, 6)}, {"kernel": kernel})
    with pytest.raises(ConversionError, match="no weight that can have 4 bits"):
        made(source, "int4-weights")


def test_int16x8_has_16_bit_activations_that_old_runtimes_are_not_given(made, small_models, graph_of):
    artifact = made(small_models("onnx") / "cnn.onnx", "int16x8")
    model = graph_of(artifact)
    found = weights(model)
    zeros = [found[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert zeros and set(zeros) == {"int16"}
    assert artifact.manifest.requires == {"opset": 13, "ir": 7, "contrib": 17}
    assert "int8" in found.values()


def test_calibration_methods_give_ranges_of_their_own(made, small_models):
    made_by = {
        method: made(small_models("onnx") / "attention.onnx", "int8", calibration_method=method)
        for method in ("minmax", "entropy", "percentile")
    }
    assert len({artifact.id for artifact in made_by.values()}) == 3
    assert [made_by[name].manifest.calibration.method for name in made_by] == [
        "min-max", "entropy", "percentile 99.999",
    ]  # fmt: skip


def test_percentile_over_chunks_ignores_an_outlier_that_minmax_follows(made, write, tmp_path):
    random = np.random.default_rng(4)
    kernel = random.normal(size=(4, 1, 1, 1)).astype("float32")
    nodes = [("Conv", ["x", "kernel"], ["y"], {})]
    source = write("point.onnx", nodes, {"x": (1, 1, 64, 64)}, {"y": (1, 4, 64, 64)}, {"kernel": kernel})
    samples = random.normal(size=(100, 1, 64, 64)).astype("float32")
    samples[52, 0, 3, 3] = (
        40.0  # 1 of 409,600 numbers, in the seventh chunk, and in no candidate for the goldens
    )
    np.savez(tmp_path / "outlier.npz", x=samples)
    found = {
        method: made(source, "int8", calibration=tmp_path / "outlier.npz", calibration_method=method).manifest
        for method in ("minmax", "percentile")
    }
    assert found["percentile"].calibration.samples == 100
    assert found["percentile"].parity.sqnr_db > found["minmax"].parity.sqnr_db + 6


def test_integers_at_the_ends_are_for_calibrated_precisions(made, small_models):
    with pytest.raises(UsageError, match="cannot be integers in fp16"):
        made(small_models("onnx") / "cnn.onnx", "fp16", integer_io=True)


def test_fp16_leaves_wide_what_older_runtimes_crash_on(made, write, graph_of):
    """ONNX Runtime 1.14 crashes on a 16-bit Relu of opset 14 and newer, 1.14 to 1.16 do not load such a Softmax."""
    import onnx

    weights = {"w": np.random.default_rng(2).normal(size=(8, 8)).astype("float32")}
    nodes = [
        ("MatMul", ["x", "w"], ["product"], {}),
        ("Relu", ["product"], ["bent"], {}),
        ("MatMul", ["bent", "w"], ["again"], {}),
        ("Softmax", ["again"], ["y"], {}),
    ]
    for opset, relu in ((13, "FLOAT16"), (18, "FLOAT")):
        source = write(f"half{opset}.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8)}, weights, opset=opset)
        model = onnx.shape_inference.infer_shapes(graph_of(made(source, "fp16")))
        ends = [*model.graph.value_info, *model.graph.input, *model.graph.output]
        kinds_of = {end.name: onnx.TensorProto.DataType.Name(end.type.tensor_type.elem_type) for end in ends}
        read = {node.op_type: kinds_of[node.input[0]] for node in model.graph.node}
        assert (read["MatMul"], read["Relu"], read["Softmax"]) == ("FLOAT16", relu, "FLOAT")
