"""OpenVINO computes whole numbers in 32 bits: what is beyond is refused by name, and what is not goes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Manifest
from edgewright_targets._onnx import integer_bounds

DAY, NOW = 86_400_000, 1_700_000_000_000


def write(path: Path, nodes: list[Any], ends: dict[str, tuple[int, list[int]]], held: dict[str, Any]) -> Path:
    """The inputs of the graph are `x` and `t`; all other ends are outputs."""
    made = {name: helper.make_tensor_value_info(name, *kind) for name, kind in ends.items()}
    graph = helper.make_graph(
        nodes, "g", [one for name, one in made.items() if name in "xt"], [one for name, one in made.items() if name not in "xt"],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path / "m.onnx"
    )
    return path / "m.onnx"


def times(path: Path) -> Path:
    """Milliseconds since 1970 as the share of a day."""
    node = helper.make_node
    nodes = [
        node("Mod", ["t", "day"], ["rest"]), node("Cast", ["rest"], ["f"], to=TensorProto.FLOAT),
        node("Div", ["f", "dayf"], ["share"]), node("MatMul", ["share", "w"], ["y"]),
    ]  # fmt: skip
    held = {"day": np.int64(DAY), "dayf": np.float32(DAY), "w": np.ones((4, 3), "float32")}
    ends = {"t": (TensorProto.INT64, [1, 4]), "y": (TensorProto.FLOAT, [1, 3])}
    return write(path, nodes, ends, held)


def converted(source: Path, target: str, workers: Workers, data: Path | None = None, **more: Any) -> Manifest:
    request = compile_request(source=source, target=target, precision="fp32", calibration=data, **more)
    return compile_model(request, workers=workers).manifest


@pytest.mark.parametrize(
    ("data", "why"),
    [(True, "input t goes to 170000"), (False, "input t may be beyond 2147483647, as the model takes")],
)
def test_times_are_refused(tmp_path: Path, workers: Workers, data: bool, why: str) -> None:
    np.savez(tmp_path / "t.npz", t=NOW + np.arange(64).reshape(16, 4) * 1000)
    file = tmp_path / "t.npz" if data else None
    source = times(tmp_path)
    with pytest.raises(ConversionError, match=f"whole numbers in 32 bits: {why}") as refused:
        converted(source, "openvino", workers, file)
    assert refused.value.code == "integers-too-wide" and "--target onnxruntime" in str(refused.value.hint)
    assert converted(source, "onnxruntime", workers, file).parity.sqnr_db > 100


def test_a_constant_beyond_them_is_refused(tmp_path: Path, workers: Workers) -> None:
    nodes = [
        helper.make_node("Sub", ["t", "start"], ["since"]),
        helper.make_node("Cast", ["since"], ["y"], to=TensorProto.FLOAT),
    ]
    ends = {"t": (TensorProto.INT64, [1, 4]), "y": (TensorProto.FLOAT, [1, 4])}
    source = write(tmp_path, nodes, ends, {"start": np.int64(NOW)})
    with pytest.raises(ConversionError, match=f"32 bits: Sub since has a constant of {NOW}"):
        converted(
            source, "openvino", workers, allow_constant=True
        )  # as floats they differ by less than a step


def test_an_answer_beyond_them_is_refused(tmp_path: Path, workers: Workers) -> None:
    nodes = [helper.make_node("Mul", ["t", "million"], ["y"])]
    ends = {"t": (TensorProto.INT64, [1, 4]), "y": (TensorProto.INT64, [1, 4])}
    source = write(tmp_path, nodes, ends, {"million": np.int64(1_000_000)})
    np.savez(tmp_path / "t.npz", t=np.arange(64).reshape(16, 4) * 100)
    with pytest.raises(ConversionError, match="32 bits: output y goes to 6300000000"):
        converted(source, "openvino", workers, tmp_path / "t.npz")


def limited(path: Path, limit: int, least: int = -(2**31)) -> Path:
    """Less than a limit, and not below the least that 32 bits hold."""
    node = helper.make_node
    nodes = [
        node("Less", ["t", "limit"], ["l"]), node("Cast", ["l"], ["lf"], to=TensorProto.FLOAT),
        node("Add", ["t", "least"], ["a"]), node("Sub", ["a", "least"], ["b"]), node("Cast", ["b"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "lf"], ["y"]),
    ]  # fmt: skip
    ends = {"t": (TensorProto.INT64, [1, 4]), "y": (TensorProto.FLOAT, [1, 4])}
    return write(path, nodes, ends, {"limit": np.int64(limit), "least": np.int64(least)})


def test_a_limit_beyond_them_is_a_note_and_the_least_of_them_is_within(
    tmp_path: Path, workers: Workers
) -> None:
    np.savez(tmp_path / "t.npz", t=np.arange(64).reshape(16, 4) * 100)
    manifest = converted(limited(tmp_path, 2**33), "openvino", workers, tmp_path / "t.npz")
    assert manifest.parity.sqnr_db > 100
    assert manifest.notes == ("whole numbers are computed in 32 bits: Less l compares with 8589934592",)
    with pytest.raises(ConversionError, match=f"Add a has a constant of {-(2**31) - 1}"):
        converted(limited(tmp_path, 9999, -(2**31) - 1), "openvino", workers, tmp_path / "t.npz")


def test_without_data_inputs_that_are_computed_with_are_named() -> None:
    """`id` of a table, moved before, is none of them, nor is what is compared and what only its shape is read of."""
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Sub", ["t1", "t0"], ["since"]), node("Cast", ["since"], ["f"], to=TensorProto.FLOAT),
            node("Reshape", ["id", "flat"], ["i"]), node("Cast", ["i"], ["narrow"], to=TensorProto.INT32),
            node("Gather", ["table", "narrow"], ["row"]), node("Equal", ["mask", "nil"], ["hidden"]),
            node("Where", ["hidden", "low", "row"], ["seen"]), node("Add", ["seen", "f"], ["y"]),
        ],
        "g", [helper.make_tensor_value_info(name, TensorProto.INT64, [1, 4]) for name in ("t1", "t0", "id", "mask")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in
         {"flat": np.array([4]), "table": np.ones(9, "f4"), "nil": np.int64(0), "low": np.float32(-9)}.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    named = [note.split("input ")[1].split()[0] for note in integer_bounds.check(model, synthetic=True)]
    assert named == ["t0", "t1"]
    assert integer_bounds.check(model, synthetic=False) == []


def test_products_that_overflow_are_given_as_the_reason(tmp_path: Path, workers: Workers) -> None:
    """A hash: its answers are within 32 bits, what it is made of is not."""
    nodes = [
        helper.make_node("Mul", ["t", "factor"], ["a"]), helper.make_node("Mod", ["a", "many"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    ends = {"t": (TensorProto.INT64, [1, 4]), "y": (TensorProto.FLOAT, [1, 4])}
    source = write(tmp_path, nodes, ends, {"factor": np.int64(1_103_515_245), "many": np.int64(97)})
    np.savez(tmp_path / "t.npz", t=np.random.default_rng(1).integers(0, 1000, (32, 4)))
    with pytest.raises(ConversionError) as refused:
        converted(source, "openvino", workers, tmp_path / "t.npz")
    assert "whole numbers in 32 bits" in str(refused.value.hint)


def test_ends_of_slices_and_sums_of_shapes_are_not(tmp_path: Path, workers: Workers) -> None:
    node = helper.make_node
    nodes = [
        node("Slice", ["x", "one", "all", "one"], ["s"]), node("Shape", ["s"], ["shape"]),
        node("Gather", ["shape", "first"], ["n"]), node("Mul", ["n", "two"], ["double"]), node("Sub", ["double", "n"], ["count"]),
        node("Unsqueeze", ["count", "zero"], ["rows"]), node("Concat", ["rows", "rest"], ["wanted"], axis=0),
        node("Reshape", ["s", "wanted"], ["r"]), node("MatMul", ["r", "w"], ["y"]),
    ]  # fmt: skip
    held = {
        "one": np.array([1]), "all": np.array([np.iinfo(np.int64).max]), "first": np.int64(0), "two": np.int64(2),
        "zero": np.array([0]), "rest": np.array([-1]), "w": np.ones((20, 3), "float32"),
    }  # fmt: skip
    ends = {"x": (TensorProto.FLOAT, [1, 6, 4]), "y": (TensorProto.FLOAT, [1, 3])}
    assert converted(write(tmp_path, nodes, ends, held), "openvino", workers).notes == ()
