"""Older opsets for older runtimes: converted down where the answers stay the same, else refused."""

import numpy as np
import pytest

from edgewright.errors import ConversionError


def operators(model):
    return {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("most", [15, 13])
def test_a_layer_normalisation_of_opset_18_is_spelt_out(made, write, graph_of, most):
    random = np.random.default_rng(3)
    weights = {
        "scale": random.uniform(0.5, 1.5, 16).astype("float32"), "shift": random.normal(size=16).astype("float32"),
        "w": random.normal(size=(16, 5)).astype("float32"), "axes": np.array([1], np.int64),
        "shape": np.array([1, 5], np.int64),
    }  # fmt: skip
    nodes = [
        ("LayerNormalization", ["x", "scale", "shift"], ["n"], {"axis": -1, "epsilon": 1e-3}),
        ("MatMul", ["n", "w"], ["m"], {}),
        ("ReduceMean", ["m", "axes"], ["mean"], {"keepdims": 0}),
        ("Reshape", ["mean", "shape"], ["y"], {"allowzero": 1}),
    ]
    source = write("norm.onnx", nodes, {"x": (1, 6, 16)}, {"y": (1, 5)}, weights, opset=18)
    artifact = made(source, "fp32", max_opset=most)
    assert artifact.manifest.requires["opset"] == most
    assert artifact.manifest.parity.sqnr_db > 100
    assert "LayerNormalization" not in operators(graph_of(artifact))
    assert made(source, "fp32").manifest.requires["opset"] == 18  # nobody asked for less


def test_a_way_down_that_changes_the_answers_is_refused(made, write):
    """Softmax over the channels of an image: before opset 13 it ran over all that follows the axis as well."""
    nodes = [("Softmax", ["x"], ["y"], {"axis": 1})]
    source = write("soft.onnx", nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 3, 4, 4)}, {}, opset=13)
    with pytest.raises(ConversionError, match=r"cannot be brought down to 12: .*SQNR") as caught:
        made(source, "fp32", max_opset=12)
    assert caught.value.code == "opset-too-new"
    assert "export the model again at opset 12 or older" in caught.value.hint


def test_an_operator_that_the_older_opset_lacks_is_refused(made, write):
    source = write("mish.onnx", [("Mish", ["x"], ["y"], {})], {"x": (1, 8)}, {"y": (1, 8)}, {}, opset=18)
    with pytest.raises(ConversionError, match="opset 18 cannot be brought down to 15"):
        made(source, "as-is", max_opset=15)


def test_an_old_opset_is_raised_for_scales_a_channel(made, write, graph_of):
    kernel = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype("float32")
    nodes = [("Conv", ["x", "kernel"], ["c"], {}), ("Relu", ["c"], ["y"], {})]
    source = write("old.onnx", nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 4, 6, 6)}, {"kernel": kernel}, opset=11)
    assert made(source, "as-is").manifest.requires["opset"] == 11
    for precision in ("int8", "int8-weights"):
        artifact = made(source, precision)
        assert artifact.manifest.requires["opset"] == 13
        axes = [
            {item.name: item.i for item in node.attribute}.get("axis")
            for node in graph_of(artifact).graph.node
            if node.op_type == "DequantizeLinear"
        ]
        assert 0 in axes
        assert artifact.manifest.parity.sqnr_db > 25


def test_what_exporters_note_about_the_developers_machine_is_not_shipped(made, write):
    import onnx

    source = write("traced.onnx", [("Relu", ["x"], ["y"], {})], {"x": (1, 8)}, {"y": (1, 8)}, {})
    model = onnx.load(str(source))
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "stack_trace", "/home/somebody/secret_project/train.py"
    model.graph.node[0].doc_string = "/home/somebody"
    onnx.save(model, str(source))
    artifact = made(source, "fp32")
    assert b"somebody" in source.read_bytes()
    assert b"somebody" not in (artifact.folder / "model.onnx").read_bytes()
