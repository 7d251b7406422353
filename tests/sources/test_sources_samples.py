"""Whoever runs a source gives it the calibration data, not random numbers that it may not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.data import goldens
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import DataError, ModelError
from edgewright.nouns.artifact import TensorSpec

ROWS = 3
NET = f"""
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds = torch.nn.Embedding({ROWS}, 8)
        self.head = torch.nn.Linear(8, 4)

    def forward(self, kinds):
        # the sum keeps the numbers from being a plain index: nothing but data says which there are
        return self.head(self.kinds(kinds.cumsum(1)).mean(1))

def make():
    return Net(), torch.zeros(1, 6, dtype=torch.int64)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: table.onnx at opset 18 and net.py, with ids that are sums of their input, and data for both."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder = tmp_path_factory.mktemp("samples")
    generator = np.random.default_rng(3)
    graph = helper.make_graph(
        [
            helper.make_node("CumSum", ["kinds", "axis"], ["ids"]),
            helper.make_node("Gather", ["table", "ids"], ["rows"]),
            helper.make_node("Flatten", ["rows"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["y"]),
        ],
        "table",
        [helper.make_tensor_value_info("kinds", TensorProto.INT64, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [
            numpy_helper.from_array(generator.normal(size=(ROWS, 8)).astype("float32"), "table"),
            numpy_helper.from_array(generator.normal(size=(48, 4)).astype("float32"), "w"),
            numpy_helper.from_array(np.array(1, np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, folder / "table.onnx")
    (folder / "net.py").write_text(NET)
    ones = np.array([np.eye(6, dtype=np.int64)[at] + np.eye(6, dtype=np.int64)[at // 2] for at in range(6)])
    np.savez(folder / "kinds.npz", kinds=np.concatenate([ones, np.eye(6, dtype=np.int64)]))
    np.savez(folder / "wrong.npz", kinds=np.full((8, 6), 7))
    return folder


@pytest.mark.parametrize(("name", "opset"), [("table.onnx", 17), ("net.py:make", None)])
def test_calibration_data_are_what_the_model_is_run_on(
    place: Path, workers: Workers, name: str, opset: int | None
) -> None:
    """Shapes, the comparison at another opset, the traced example and the goldens."""
    request = compile_request(
        source=place / name, target="onnxruntime", calibration=place / "kinds.npz", max_opset=opset
    )
    manifest = compile_model(request, workers=workers).manifest
    assert manifest.goldens.origin == "calibration"
    assert manifest.parity.sqnr_db > 100


def test_data_that_the_model_does_not_take_are_named(place: Path, workers: Workers) -> None:
    with pytest.raises(
        ModelError, match=r"model does not run on sample 0 of the calibration data wrong\.npz"
    ):
        compile_model(
            compile_request(
                source=place / "table.onnx", target="onnxruntime", calibration=place / "wrong.npz"
            ),
            workers=workers,
        )
    np.save(place / "short.npy", np.zeros((8, 5), np.int64))
    with pytest.raises(DataError, match="wrong shape"):
        compile_model(
            compile_request(
                source=place / "table.onnx", target="onnxruntime", calibration=place / "short.npy"
            ),
            workers=workers,
        )


def test_a_later_sample_that_the_model_does_not_take_is_named(place: Path, workers: Workers) -> None:
    """Of more samples than are looked at, by its place in the data."""
    kinds = np.eye(6, dtype=np.int64)[np.arange(200) % 6]
    kinds[150] = 7
    np.savez(place / "late.npz", kinds=kinds)
    with pytest.raises(ModelError, match=r"does not run on sample 150 of the calibration data late\.npz"):
        compile_model(
            compile_request(
                source=place / "table.onnx", target="onnxruntime", calibration=place / "late.npz"
            ),
            workers=workers,
        )


def test_too_few_samples_of_a_model_that_takes_no_random_ones(place: Path, workers: Workers) -> None:
    np.savez(place / "few.npz", kinds=np.eye(6, dtype=np.int64)[[0, 1, 2, 3, 3, 3]])
    with pytest.raises(ModelError) as caught:
        compile_model(
            compile_request(source=place / "table.onnx", target="onnxruntime", calibration=place / "few.npz"),
            workers=workers,
        )
    assert caught.value.message == (
        "only 4 distinct samples in few.npz; 8 are needed, and the model does not run on random ones"
    )
    assert caught.value.hint == "add samples to few.npz"


@pytest.mark.parametrize("name", ["table.onnx", "net.py:make"])
def test_an_input_that_takes_no_random_numbers_is_named(place: Path, workers: Workers, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        compile_model(compile_request(source=place / name, target="onnxruntime"), workers=workers)
    assert caught.value.message == "input kinds does not take random numbers"
    assert str(caught.value.hint).startswith("give a few real inputs: --calibration FILE (")
    assert caught.value.code == "random-inputs"
    assert "out of" in str(caught.value.hint)  # what the framework says of it


class Picky:
    """A source whose second and third input have to be below 3, and which fails at the fourth sample."""

    inputs = tuple(TensorSpec(name=name, shape=(1, 4), dtype="int64") for name in ("any", "kind", "group"))

    def __init__(self, good: int) -> None:
        self.good, self.runs = good, 0

    def run(self, sample: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        self.runs += 1
        if self.runs > self.good and max(sample[1].max(), sample[2].max()) > 2:
            raise IndexError("out of bounds")
        return [sample[0]]


def test_all_inputs_that_take_no_random_numbers_are_named() -> None:
    """Also where only a later sample shows it."""
    with pytest.raises(ModelError, match="inputs kind, group do not take random numbers"):
        goldens.compute(Picky(3), SampleSet(specs=Picky.inputs), 16)


def test_a_model_that_runs_on_nothing_blames_no_input() -> None:
    class Broken(Picky):
        def run(self, sample: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
            raise RuntimeError("never runs")

    with pytest.raises(ModelError, match="model does not run on random inputs: RuntimeError: never runs"):
        goldens.compute(Broken(0), SampleSet(specs=Picky.inputs), 16)


def test_what_is_no_fault_of_the_data_is_raised_as_it_is() -> None:
    class Full(Picky):
        def run(self, sample: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
            raise MemoryError

    with pytest.raises(MemoryError):
        goldens.compute(Full(0), SampleSet(specs=Picky.inputs), 16)
