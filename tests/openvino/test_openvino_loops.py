"""Loops of an ONNX graph are written out where they run as often for every input, and only there; and older words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.sources import onnx_session
from edgewright.nouns.artifact import TensorSpec
from edgewright.precisions import EXACT
from edgewright_targets._onnx.unroll_loops import unroll
from edgewright_targets.openvino2021 import complete_recurrent, lower_to_opset_12, prepare_onnx

SPECS = (TensorSpec(name="x", shape=(3,), dtype="float32"),)
WORK = SimpleNamespace(inputs=SPECS, samples=SampleSet(specs=SPECS).stream)
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
    session = onnx_session.session(model.SerializeToString())
    return list(session.run(None, feed))


def test_a_loop_of_a_fixed_number_of_steps_is_written_out() -> None:
    for opset in (12, 13):
        model = loop(opset=opset)
        given = np.array([1, -2, 3], "f4")
        wanted = answers(model, x=given)
        assert wanted[1].shape == (5, 3)  # ended by its condition, below the limit of nine
        unroll(model, WORK)
        onnx.checker.check_model(model, full_check=True)
        kinds = [node.op_type for node in model.graph.node]
        assert "Loop" not in kinds and kinds.count("Mul") == 5
        assert "Less" not in kinds, "what only counted is still there"
        for found, right in zip(answers(model, x=given), wanted, strict=True):
            assert np.array_equal(found, right)


def test_a_loop_that_depends_on_the_input_stays() -> None:
    model = loop(steps="given", stop=True)
    kept = [node.op_type for node in model.graph.node]
    unroll(model, WORK)
    assert [node.op_type for node in model.graph.node] == kept
    assert len(answers(model, x=np.array([2, 0, 1], "f4"))[1]) == 2


def graph_of(name: str, nodes: list[Any], gives: list[Any]) -> Any:
    return helper.make_graph(nodes, name, [], gives)


def counted(kind: str) -> Any:
    """A loop whose limit an earlier If or Loop computes: of the model's inputs only its inner graph reads one."""
    limit = INFO("limit_inside", TensorProto.INT64, [])
    top = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Ceil", ["top"], ["whole"]),  # of a random sample: one
        helper.make_node("Cast", ["whole"], ["limit_inside"], to=TensorProto.INT64),
    ]
    if kind == "If":
        other = graph_of("other", [helper.make_node("Identity", ["one"], ["limit_inside_other"])], [])
        other.output.append(INFO("limit_inside_other", TensorProto.INT64, []))
        maker = helper.make_node(
            "If", ["start"], ["limit"], then_branch=graph_of("then", top, [limit]), else_branch=other
        )
    else:
        go_on = helper.make_node("Identity", ["go"], ["go_on"])
        body = graph_of("limit", [*top, go_on], [INFO("go_on", TensorProto.BOOL, []), limit])
        body.input.extend([INFO("at", TensorProto.INT64, []), INFO("go", TensorProto.BOOL, [])])
        body.input.append(INFO("before", TensorProto.INT64, []))
        maker = helper.make_node("Loop", ["one", "start", "one"], ["limit"], body=body)
    model = loop()
    kept = [one for one in model.graph.initializer if one.name not in ("limit", "most")]
    kept += [
        numpy_helper.from_array(np.array(value), name) for name, value in (("one", 1), ("most", 1 << 40))
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [maker, *(type(one).FromString(one.SerializeToString()) for one in model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("kind", ["If", "Loop"])
def test_a_loop_that_depends_on_the_input_through_an_inner_graph_stays(kind: str) -> None:
    model = counted(kind)
    assert len(answers(model, x=np.array([4, 0, 1], "f4"))[1]) == 4
    unroll(model, WORK)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[-1] == "Loop" and kinds.count("Loop") == 1  # an earlier one has one step for every x
    for steps in (2, 5):
        assert len(answers(model, x=np.array([steps, 0, 1], "f4"))[1]) == steps


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -4, None])
def test_softmax_goes_along_one_axis_also_in_older_words(kind: str, axis: int | None) -> None:
    flags = {} if axis is None else {"axis": axis}
    shape = [2, 3, 4, 5]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x"], ["s"], "soft", **flags), helper.make_node("Neg", ["s"], ["y"])],
        "soft", [INFO("x", TensorProto.FLOAT, shape)], [INFO("y", TensorProto.FLOAT, shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    given = np.random.default_rng(4).normal(size=shape).astype("f4")
    (wanted,) = answers(model, x=given)
    lower_to_opset_12.axes_as_attributes(model)
    assert model.opset_import[0].version == 12
    onnx.checker.check_model(model, full_check=True)
    turned = [node.op_type for node in model.graph.node].count("Transpose")
    assert turned == (0 if axis in (3, -1, None) else 2)
    assert np.allclose(answers(model, x=given)[0], wanted, atol=1e-6)


def test_softmax_of_the_older_opset_stays_as_it_is() -> None:
    shape = [2, 3, 4]
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"], axis=1)],
        "soft", [INFO("x", TensorProto.FLOAT, shape)], [INFO("y", TensorProto.FLOAT, shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    before = model.SerializeToString()
    lower_to_opset_12.axes_as_attributes(model)
    assert model.SerializeToString() == before


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
    lower_to_opset_12.axes_as_attributes(model)
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
    complete_recurrent.complete(model, lower_to_opset_12.sizes(model))
    (cells,) = model.graph.node
    assert list(cells.input) == ["x", "w", "r", "cells/zeros3", "", "cells/zeros5", "cells/zeros6"]
    assert list(cells.output) == ["cells/y", "last", "cells/c"]
    onnx.checker.check_model(model, full_check=True)
    assert np.allclose(answers(model, x=given)[0], wanted, atol=1e-6)


def test_a_recurrent_layer_of_half_floats_gets_half_zeros() -> None:
    weights = {"w": (1, 8, 3), "r": (1, 8, 2)}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2, name="cells")],
        "lstm", [INFO("x", TensorProto.FLOAT16, [4, 1, 3])], [INFO("y", TensorProto.FLOAT16, [4, 1, 1, 2])],
        [numpy_helper.from_array(np.ones(shape, "f2"), name) for name, shape in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    complete_recurrent.complete(model, lower_to_opset_12.sizes(model))
    onnx.checker.check_model(model, full_check=True)
    assert {one.data_type for one in model.graph.initializer} == {TensorProto.FLOAT16}


def test_shapes_are_inferred_once_however_many_normalisations_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("BatchNormalization", [f"n{at}", *"sbmv"], [f"n{at + 1}"], f"norm{at}")
        for at in range(5)
    ]
    nodes += [  # and one by a mean that the graph computes
        helper.make_node("ReduceMean", ["n5"], ["mean"], axes=[0, 2, 3], keepdims=0),
        helper.make_node("BatchNormalization", ["n5", "s", "b", "mean", "v"], ["y"], "last"),
    ]
    shape = [1, 3, 4, 4]
    graph = helper.make_graph(
        nodes, "norms", [INFO("n0", TensorProto.FLOAT, shape)], [INFO("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.arange(1, 4, dtype="f4"), name) for name in "sbmv"],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    onnx.save(model, str(tmp_path / "source.onnx"))
    runs, real = [], onnx.shape_inference.infer_shapes
    monkeypatch.setattr(
        onnx.shape_inference, "infer_shapes", lambda *given, **flags: runs.append(1) or real(*given, **flags)
    )
    made = prepare_onnx.ready(
        SimpleNamespace(path=tmp_path / "source.onnx", folder=tmp_path, inputs=(), traits=EXACT)
    )
    assert len(runs) == 1
    monkeypatch.undo()
    given = np.random.default_rng(3).normal(size=shape).astype("f4")
    said = onnx.load(str(made))
    assert [node.op_type for node in said.graph.node].count("BatchNormalization") == 5
    assert np.allclose(answers(said, n0=given)[0], answers(model, n0=given)[0], atol=1e-5)
