"""Nodes without weights that stay in floats together, as they are found in each kind of graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import masked_models
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile import explain
from edgewright.compile.graph.float_groups import ENDS, MASKS, FloatGroup, groups
from edgewright.compile.graph.operations import Operation
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright_targets._onnx import explain as onnx_explain
from edgewright_targets.tflite import explain as tflite_explain


def converted(rows: list[dict[str, Any]]) -> list[Operation]:
    return explain._converted(rows)


def of_nodes(
    path: Path, nodes: Sequence[Any], held: dict[str, Any], *, products: bool = False
) -> tuple[FloatGroup, ...]:
    """Groups of an ONNX graph with inputs `x` and `m` and the output `y`."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4]) for name in ("x", "m")]
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()]
    graph = helper.make_graph(nodes, "g", given, results, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path / "g.onnx"))
    return groups(converted(onnx_explain.shipped(path / "g.onnx")), products=products)


def node(kind: str, inputs: str, output: str, **flags: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], name=f"n_{output}", **flags)


@pytest.mark.parametrize("name", ["head", "even"])
def test_what_joins_an_output_in_onnx(onnx_folder: Path, name: str) -> None:
    (group,) = groups(converted(onnx_explain.shipped(onnx_folder / f"{name}.onnx")))
    assert group == FloatGroup(kind=ENDS, words="what joins output y", names=("both", "y"))


def test_outputs_that_nothing_joins_have_none(onnx_folder: Path) -> None:
    assert groups(converted(onnx_explain.shipped(onnx_folder / "labels.onnx"))) == ()


def test_ends_begin_at_the_first_joins(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "inside"),
        node("Concat", "inside m", "early", axis=1),  # in the middle of the graph
        node("MatMul", "early w", "h"),
        node("Transpose", "h", "turned", perm=[0, 2, 1]),  # has the scale of one tensor
        node("Concat", "grid grid", "still", axis=2),  # no input changes it
        node("Concat", "turned still", "joined", axis=1),
        node("Cast", "joined", "same", to=TensorProto.FLOAT),  # an optimiser may take it out
        node("Transpose", "same", "back", perm=[0, 2, 1]),
        node("Concat", "back back", "y", axis=0),
    ]
    held = {"w": np.ones((4, 4), "float32"), "grid": np.ones((1, 4, 1), "float32")}
    (group,) = of_nodes(tmp_path, nodes, held)
    assert group.names == ("n_joined", "n_back", "n_y")


@pytest.mark.parametrize("minus_infinity", [float(np.finfo("float32").min), -10000.0, -np.inf])
def test_the_way_from_minus_infinity_to_the_softmax(tmp_path: Path, minus_infinity: float) -> None:
    rows = converted(onnx_explain.shipped(masked_models.write(tmp_path, minus_infinity)))
    (group,) = groups(rows)
    assert group == FloatGroup(
        kind=MASKS, words="what masks the Softmax", names=("bias", "bias3", "masked", "p")
    )
    (group,) = groups(rows, products=True)
    assert group.names == ("qk", "bias", "bias3", "masked", "p")


def test_numbers_that_are_not_large_mask_nothing(tmp_path: Path) -> None:
    assert groups(converted(onnx_explain.shipped(masked_models.write(tmp_path, -900.0)))) == ()


def test_a_mask_of_constants_alone_is_no_node_to_keep(tmp_path: Path) -> None:
    nodes = [
        node("Mul", "triangle low", "fixed"),  # folded away before anything is quantised
        node("MatMul", "x m", "qk"),
        node("Mul", "qk eighth", "scaled"),
        node("Add", "scaled fixed", "masked"),
        node("Softmax", "masked", "y"),
    ]
    held = {
        "triangle": np.triu(np.ones((4, 4), "float32")), "low": np.float32(-1e9), "eighth": np.float32(0.125),
    }  # fmt: skip
    (group,) = of_nodes(tmp_path, nodes, held)
    assert group.names == ("n_masked", "n_y")
    (group,) = of_nodes(tmp_path, nodes, held, products=True)
    assert group.names == ("n_qk", "n_masked", "n_y")


def test_several_softmaxes_are_one_group(tmp_path: Path) -> None:
    nodes = [
        node("Cast", "m", "which", to=TensorProto.BOOL),
        node("Where", "which x low", "one"),
        node("Softmax", "one", "p"),
        node("Where", "which p low", "two"),
        node("Softmax", "two", "y"),
    ]
    (group,) = of_nodes(tmp_path, nodes, {"low": np.float32(-1e4)})
    assert (group.words, group.names) == ("what masks 2 Softmaxes", ("n_one", "n_p", "n_two", "n_y"))


def test_large_numbers_elsewhere_are_no_masks(tmp_path: Path) -> None:
    nodes = [
        node("Slice", "x starts stops", "cut"),  # to an end beyond all
        node("Mul", "cut large", "pixels"),
        node("MatMul", "pixels m", "h"),
        node("Softmax", "h", "y"),
    ]
    held = {"starts": np.array([0]), "stops": np.array([2**62]), "large": np.float32(1920)}
    assert of_nodes(tmp_path, nodes, held) == ()


def test_what_joins_an_output_in_litert(keras_folder: Path) -> None:
    rows = converted(tflite_explain.shipped(keras_folder / "moves.tflite"))
    (group,) = groups(rows)
    assert group.kind == ENDS
    kinds = [one.operator for one in rows if one.name in group.names]
    assert kinds[-1] == "TRANSPOSE"  # the output
    assert {"CONCATENATION", "PACK"} <= set(kinds)
    before = [one for one in rows if one.name not in group.names]
    assert "TRANSPOSE" in [one.operator for one in before]  # moves one tensor, before any join
    assert all(one.operator not in ("CONCATENATION", "PACK") for one in before)


def test_what_joins_an_output_in_keras(keras_folder: Path, workers: Workers) -> None:
    source = SourceRef(path=keras_folder / "head.keras", format="keras")
    layers, rows = workers.call("tensorflow", explain.__name__, "names_in_the_source", source=source)
    assert groups(rows) == (FloatGroup(kind=ENDS, words="what joins output pred", names=("pred",)),)
    assert len(layers) == 3
