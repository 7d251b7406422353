"""Whole numbers of 64 bits, which onnx2tf computes in 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError

pytestmark = pytest.mark.slow  # the toolchain's installation


def write(folder: Path) -> Path:
    """A time in milliseconds and an index of a table; and data of a day, and of an age."""
    node = helper.make_node
    nodes = [
        node("Mod", ["time", "day"], ["of_day"]), node("Cast", ["of_day"], ["f"], to=TensorProto.FLOAT),
        node("Div", ["f", "scale"], ["share"]), node("Gather", ["table", "id"], ["row"]),
        node("Add", ["share", "row"], ["y"]),
    ]  # fmt: skip
    table = np.random.default_rng(3).normal(size=(5, 4)).astype("float32")
    held = {"day": np.array([86_400_000]), "scale": np.array([864e5], "float32"), "table": table}
    weights = [numpy_helper.from_array(array, name) for name, array in held.items()]
    given = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name, shape in (("time", [1, 4]), ("id", [1]))
    ]
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])]
    graph = helper.make_graph(nodes, "g", given, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "time.onnx"))
    draw = np.random.default_rng(4)
    for name, least, most in (("day", 0, 86_400_000), ("age", 1_600_000_000_000, 1_800_000_000_000)):
        time, ids = draw.integers(least, most, (24, 1, 4)), draw.integers(0, 5, (24, 1))
        np.savez(folder / f"{name}.npz", time=time, id=ids)
    return folder / "time.onnx"


def test_numbers_that_do_not_fit_are_refused(
    tmp_path: Path, workers: Workers, onnx2tf_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(onnx2tf_home))
    source = write(tmp_path)
    request = compile_request(
        source=source, target="tflite", precision="fp32", calibration=tmp_path / "day.npz"
    )
    assert compile_model(request, workers=workers).manifest.notes == (
        "input time is computed in 32 bits: greater numbers are answered wrongly",
    )
    request = compile_request(
        source=source, target="tflite", precision="fp32", calibration=tmp_path / "age.npz"
    )
    with pytest.raises(ConversionError, match=r"^input time has numbers such as 1[678]") as refused:
        compile_model(request, workers=workers)
    assert refused.value.code == "beyond-32-bits"
    request = compile_request(source=source, target="tflite", precision="fp32")
    with pytest.raises(ConversionError) as refused:
        compile_model(request, workers=workers)
    assert refused.value.message == (
        "onnx2tf computes whole numbers in 32 bits: input time may be beyond 2147483647, as the model takes its "
        "remainder by 86400000"
    )
    assert refused.value.hint.startswith("give --calibration data that show how large it is")
