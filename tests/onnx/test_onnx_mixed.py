"""int8-mixed: the layers that were named really stay in floats, in the file and at run time, or it is an error."""

import numpy as np
import pytest

from edgewright.errors import ConversionError, UsageError
from edgewright_targets._onnx import layers
from edgewright_targets.onnxruntime import explain


def from_integers(model):
    """Names of the tensors that come from quantised weights."""
    weights = {item.name for item in model.graph.initializer}
    return {
        node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights
    }  # fmt: skip


def quantised_layers(model):
    """Names of the nodes whose weights are quantised."""
    wide = from_integers(model)
    return {node.name for node in model.graph.node if wide & set(node.input)}


def test_a_named_layer_stays_in_floats_and_the_others_do_not(made, small_models, graph_of):
    artifact = made(small_models("onnx") / "cnn.onnx", "int8-mixed", keep_float=("conv3",))
    assert artifact.manifest.kept_float == ("conv3",)
    model = graph_of(artifact)
    everywhere = quantised_layers(graph_of(made(small_models("onnx") / "cnn.onnx", "int8")))
    kept = next(node for node in model.graph.node if node.op_type == "Conv" and dict(group=8).items()
                <= {item.name: item.i for item in node.attribute}.items())  # fmt: skip
    assert kept.name not in quantised_layers(model)
    assert quantised_layers(model) == everywhere - {kept.name}


def test_a_product_whose_bias_was_folded_into_it_stays_in_floats(made, write, graph_of):
    """MatMul and Add become one Gemm of another name: an exclusion by the old name would be ignored."""
    random = np.random.default_rng(2)
    weights = {
        "w1": random.normal(size=(8, 8)).astype("float32"), "b1": random.normal(size=8).astype("float32"),
        "w2": random.normal(size=(8, 4)).astype("float32"),
    }  # fmt: skip
    nodes = [
        ("MatMul", ["x", "w1"], ["product"], {"name": "first/MatMul"}),
        ("Add", ["product", "b1"], ["sum"], {"name": "first/BiasAdd"}),
        ("Relu", ["sum"], ["bent"], {}),
        ("MatMul", ["bent", "w2"], ["y"], {"name": "second/MatMul"}),
    ]
    source = write("fused.onnx", nodes, {"x": (1, 8)}, {"y": (1, 4)}, weights)
    plain = graph_of(made(source, "int8"))
    assert [node.op_type for node in plain.graph.node].count("Gemm") == 1  # the premise
    for named in ("first/MatMul", "first", "w1"):
        artifact = made(source, "int8-mixed", keep_float=(named,))
        left = quantised_layers(graph_of(artifact))
        assert artifact.manifest.kept_float == (named,)
        assert left == {"second/MatMul"}
    assert artifact.manifest.parity.sqnr_db > 25


def test_an_unknown_layer_is_an_error_that_names_others(made, small_models):
    with pytest.raises(UsageError, match="no such layer to keep in floats: conv99") as caught:
        made(small_models("onnx") / "cnn.onnx", "int8-mixed", keep_float=("conv99",))
    assert "conv" in caught.value.hint


def test_a_layer_that_is_folded_away_is_an_error(made, write):
    ones = np.ones(2, np.float32)
    weights = {"kernel": np.random.default_rng(0).normal(size=(2, 2, 3, 3)).astype("float32"),
               "scale": ones, "shift": ones, "mean": ones, "variance": ones,
               "half": np.array([0.5], np.float32), "third": np.array([0.25], np.float32)}  # fmt: skip
    nodes = [
        ("Add", ["half", "third"], ["constant"], {"name": "folded"}),
        ("Conv", ["x", "kernel"], ["c"], {}),
        ("Mul", ["c", "constant"], ["y"], {}),
    ]
    source = write("folded.onnx", nodes, {"x": (1, 2, 6, 6)}, {"y": (1, 2, 4, 4)}, weights)
    with pytest.raises(ConversionError, match="folded away"):
        made(source, "int8-mixed", keep_float=("folded",))


def test_all_layers_in_floats_is_an_error(made, write):
    weights = {"w": np.random.default_rng(0).normal(size=(8, 4)).astype("float32")}
    source = write(
        "one.onnx", [("MatMul", ["x", "w"], ["y"], {"name": "only"})], {"x": (1, 8)}, {"y": (1, 4)}, weights
    )
    with pytest.raises(ConversionError, match="nothing of the model was quantised"):
        made(source, "int8-mixed", keep_float=("only",))


def test_a_quantiser_that_ignores_the_exclusion_is_caught(made, small_models, graph_of):
    """The check itself, on a file in which the layer was quantised all the same."""
    whole = graph_of(made(small_models("onnx") / "cnn.onnx", "int8"))
    conv = next(node.name for node in whole.graph.node if node.op_type == "Conv")
    with pytest.raises(ConversionError, match="did not stay in floats: mine") as caught:
        layers.check_float(whole, whole, {"mine": [conv]})
    assert caught.value.code == "keep-float-ignored"


def test_layers_are_needed_and_only_for_this_precision(made, small_models):
    with pytest.raises(UsageError, match="needs the layers that stay in floats"):
        made(small_models("onnx") / "cnn.onnx", "int8-mixed")
    with pytest.raises(UsageError, match="cannot be kept in floats in fp16: conv3"):
        made(small_models("onnx") / "cnn.onnx", "fp16", keep_float=("conv3",))


def in_the_middle(write):
    """A Softmax between two products, and its weights."""
    random = np.random.default_rng(3)
    weights = {name: random.normal(size=(8, 8)).astype("float32") for name in ("w1", "w2")}
    nodes = [
        ("MatMul", ["x", "w1"], ["h"], {"name": "first"}),
        ("Softmax", ["h"], ["p"], {"name": "soft"}),
        ("MatMul", ["p", "w2"], ["y"], {"name": "second"}),
    ]
    return write("middle.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8)}, weights)


def test_a_node_without_weights_stays_in_floats_at_run_time(made, write):
    """What stands between a DequantizeLinear and a QuantizeLinear is an 8-bit node to the runtime, whoever left it out."""
    source = in_the_middle(write)
    assert "QLinearSoftmax" in operators(made(source, "int8"))
    artifact = made(source, "int8-mixed", keep_float=("soft",))
    found = operators(artifact)
    assert "Softmax" in found
    assert "QLinearSoftmax" not in found


def test_one_that_a_runtime_takes_for_integers_is_caught(made, write, graph_of):
    whole = graph_of(made(in_the_middle(write), "int8"))
    with pytest.raises(ConversionError, match="did not stay in floats: mine") as caught:
        layers.check_float(whole, whole, {"mine": ["soft"]})
    assert caught.value.code == "keep-float-ignored"


def operators(artifact):
    """Of what the runtime executes."""
    return {row["operator"] for row in explain.executed(artifact.folder / artifact.manifest.entry)}
