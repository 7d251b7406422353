"""Loops of an ONNX graph are written out where they run as often for every input, and only there; and older words."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgewright.nouns.artifact import TensorSpec
from edgewright_targets.openvino2021 import older, recurrent
from edgewright_targets.openvino2021.loops import unroll

SPECS = (TensorSpec(name="x", shape=(3,), dtype="float32"),)
INFO = helper.make_tensor_value_info


def loop(*, steps: str = "limit", stop: bool = False, opset: int = 12) -> Any:
    """state = state * 2 + x for five steps, or until the sum of x is passed; gives the last state and all of them."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state_in", "two"], ["doubled"]),
            helper.make_node("Add", ["doubled", "x"], ["state_out"]),
            helper.make_node("Identity", ["state_out"], ["seen"]),
            helper.make_node("Less", ["step", "most"], ["go_on"]),
        ],
        "body",
        [
            INFO("step", TensorProto.INT64, []),
            INFO("go", TensorProto.BOOL, []),
            INFO("state_in", TensorProto.FLOAT, [3]),
        ],
        [
            INFO("go_on", TensorProto.BOOL, []),
            INFO("state_out", TensorProto.FLOAT, [3]),
            INFO("seen", TensorProto.FLOAT, [3]),
        ],
        [numpy_helper.from_array(np.array([2, 2, 2], "f4"), "two")],
    )
    nodes = [helper.make_node("Loop", [steps, "start", "zero"], ["last", "all"], body=body)]
    if stop:  # a limit that depends on what is given
        nodes.insert(0, helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0))
        nodes.insert(1, helper.make_node("Cast", ["top"], [steps], to=TensorProto.INT64))
    constants = {
        "limit": np.array(9),
        "most": np.array(4),
        "start": np.array(True),
        "zero": np.zeros(3, "f4"),
    }
    graph = helper.make_graph(
        nodes, "loop", [INFO("x", TensorProto.FLOAT, [3])],
        [INFO("last", TensorProto.FLOAT, [3]), INFO("all", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def answers(model: Any, **feed: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feed))


def test_a_loop_of_a_fixed_number_of_steps_is_written_out() -> None:
    for opset in (12, 13):
        model = loop(opset=opset)
        given = np.array([1, -2, 3], "f4")
        wanted = answers(model, x=given)
        assert wanted[1].shape == (5, 3)  # ended by its condition, below the limit of nine
        unroll(model, SPECS)
        onnx.checker.check_model(model, full_check=True)
        kinds = [node.op_type for node in model.graph.node]
        assert "Loop" not in kinds and kinds.count("Mul") == 5
        assert "Less" not in kinds, "what only counted is still there"
        for found, right in zip(answers(model, x=given), wanted, strict=True):
            assert np.array_equal(found, right)


def test_a_loop_that_depends_on_the_input_stays() -> None:
    model = loop(steps="given", stop=True)
    kept = [node.op_type for node in model.graph.node]
    unroll(model, SPECS)
    assert [node.op_type for node in model.graph.node] == kept
    assert len(answers(model, x=np.array([2, 0, 1], "f4"))[1]) == 2


def test_axes_move_from_inputs_to_attributes() -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["x", "first"], ["a"]),
        helper.make_node("Softmax", ["a"], ["b"]),
        helper.make_node("ReduceSum", ["b", "first"], ["c"], keepdims=1),
        helper.make_node("Squeeze", ["c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "axes", [INFO("x", TensorProto.FLOAT, [3, 4])], [INFO("y", TensorProto.FLOAT, [3, 4])],
        [numpy_helper.from_array(np.array([0]), "first")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    given = np.random.default_rng(1).normal(size=(3, 4)).astype("f4")
    (wanted,) = answers(model, x=given)
    older.axes_as_attributes(model)
    assert model.opset_import[0].version == 12
    assert all(len(node.input) == 1 for node in model.graph.node)
    onnx.checker.check_model(model, full_check=True)
    assert np.allclose(answers(model, x=given)[0], wanted, atol=1e-6)


def test_recurrent_layers_get_what_onnx_lets_them_leave_out() -> None:
    generator = np.random.default_rng(2)
    weights = {"w": generator.normal(size=(2, 20, 3)), "r": generator.normal(size=(2, 20, 5))}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r"], ["", "last"], hidden_size=5, direction="bidirectional", name="cells")],
        "lstm", [INFO("x", TensorProto.FLOAT, [7, 1, 3])], [INFO("last", TensorProto.FLOAT, [2, 1, 5])],
        [numpy_helper.from_array(array.astype("f4"), name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    given = generator.normal(size=(7, 1, 3)).astype("f4")
    (wanted,) = answers(model, x=given)
    recurrent.complete(model, older.sizes(model))
    (cells,) = model.graph.node
    assert list(cells.input) == ["x", "w", "r", "cells/zeros3", "", "cells/zeros5", "cells/zeros6"]
    assert list(cells.output) == ["cells/y", "last", "cells/c"]
    onnx.checker.check_model(model, full_check=True)
    assert np.allclose(answers(model, x=given)[0], wanted, atol=1e-6)
