"""ONNX outputs that have one value, or that operators read too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright_targets.tflite import repeated_outputs


def written(path: Path) -> Path:
    """`y` = x w, `again` and `third` the same, `z` what comes of it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).normal(0, 0.3, (8, 6)).astype("float32")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Identity", ["y"], ["again"]),
        helper.make_node("Reshape", ["again", "shape"], ["third"]), helper.make_node("Relu", ["third"], ["z"]),
    ]  # fmt: skip
    ends = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 6])
        for name in ("again", "y", "z", "third")
    }
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])]
    held = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.array([1, 6]), "shape")]
    graph = helper.make_graph(nodes, "g", given, list(ends.values()), held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), str(path))
    return path


def test_repeated_outputs_are_taken_out_of_a_copy(tmp_path: Path) -> None:
    import onnx

    model = onnx.load(str(written(tmp_path / "again.onnx")))
    before = model.SerializeToString()
    made, found = repeated_outputs.taken_out(model)
    assert found == {"again": "y", "third": "y"}
    assert [item.name for item in made.graph.output] == ["y", "z"]
    onnx.checker.check_model(made)
    assert model.SerializeToString() == before


@pytest.mark.slow
def test_they_keep_their_names_in_floats_and_integers(
    tmp_path: Path, workers: Workers, onnx2tf_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.setenv("EDGEWRIGHT_HOME", str(onnx2tf_home))
    source = written(tmp_path / "again.onnx")
    for precision, least in (("fp32", 100), ("int8", 30)):
        request = compile_request(
            source=source, target="tflite", precision=precision, calibration="synthetic"
        )
        artifact = compile_model(request, workers=workers)
        assert [spec.name for spec in artifact.manifest.outputs] == ["again", "y", "z", "third"]
        assert artifact.manifest.parity.sqnr_db > least
        interpreter = Interpreter(str(artifact.folder / artifact.manifest.entry))
        answer = interpreter.get_signature_runner("serving_default")(x=np.ones((1, 8), "float32"))
        assert set(answer) == {"again", "y", "z", "third"}
        assert np.array_equal(answer["y"], answer["third"])
