"""Shapes that a graph computes of fixed ones are constants where a converter needs them so."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.sources import onnx_session
from edgewright_targets._onnx.fold_shapes import folded


def flattened() -> onnx.ModelProto:
    """A layer and a normalisation, which the optimiser would fuse, then `flatten(2)` as torch traces it."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("BatchNormalization", ["c", "one", "nil", "nil", "one"], ["n"], name="norm"),
        node("Shape", ["n"], ["shape"]), node("Slice", ["shape", "zero", "two"], ["start"]),
        node("Concat", ["start", "rest"], ["flat"], axis=0), node("Reshape", ["n", "flat"], ["f"]),
        node("Transpose", ["f"], ["y"], perm=[0, 2, 1]),
    ]  # fmt: skip
    held = {
        "w": np.random.default_rng(1).normal(size=(5, 3, 3, 3)).astype("f4"), "one": np.ones(5, "f4"), "nil": np.zeros(5, "f4"),
        "zero": np.array([0]), "two": np.array([2]), "rest": np.array([-1]),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 5])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def chunked() -> onnx.ModelProto:
    """`chunk` of a reshaped tensor, whose ends are a remainder of its shape: the optimiser fuses what reads them."""
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["s0"]), node("Concat", ["s0", "one"], ["wide"], axis=0), node("Reshape", ["x", "wide"], ["r"]),
        node("Shape", ["r"], ["s1"]), node("Mod", ["one", "three"], ["at"]), node("Gather", ["s1", "at"], ["size"]),
        node("Add", ["size", "one"], ["more"]), node("Div", ["more", "two"], ["end"]),
        node("Slice", ["r", "zero", "end", "at"], ["y"]),
    ]  # fmt: skip
    held = {"one": np.array([1]), "two": np.array([2]), "three": np.array([3]), "zero": np.array([0])}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 1])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_shape_behind_a_computed_one_is_a_constant_too() -> None:
    made = folded(chunked())
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node] == ["Reshape", "Slice"]
    x = np.arange(5, dtype="f4").reshape(1, 5)
    assert onnx_session.session(made.SerializeToString()).run(None, {"x": x})[0].ravel().tolist() == [0, 1, 2]


def test_a_graph_without_them_stays_the_very_model() -> None:
    made = folded(flattened())
    assert folded(made) is made


def test_computed_shapes_are_constants_and_layers_keep_their_names() -> None:
    source = flattened()
    made = folded(source)
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node] == [
        "Conv",
        "BatchNormalization",
        "Reshape",
        "Transpose",
    ]
    assert [node.name for node in made.graph.node[:2]] == ["conv", "norm"]
    assert len(source.graph.node) == 7  # it is open, and runs as it is
    x = np.random.default_rng(2).normal(size=(1, 3, 6, 6)).astype("f4")
    one, other = (
        onnx_session.session(item.SerializeToString()).run(None, {"x": x})[0] for item in (source, made)
    )
    assert np.allclose(one, other, atol=1e-5)
