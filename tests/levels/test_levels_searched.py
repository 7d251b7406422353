"""Searches that int8 sends to nodes without weights: what they end with, and that it is right on inputs of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import masked_models
import numpy as np
import onnx
import pytest

from edgewright.compile import onnxsession
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers
from edgewright.config import home
from edgewright.measure.search.engine import Limits, SearchResult
from edgewright.measure.search.judge import fall_back
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion
from edgewright.store.artifacts import ArtifactStore

LOWEST = float(np.finfo("float32").min)


def searched(source: Path, target: str, data: str, workers: Workers) -> tuple[SearchResult, Artifact]:
    """The search's result, and its best artifact: one that a group saved, and that the user can make again by hand."""
    wanted = CompileRequest(source=source, target=target, precision="int8", calibration=source.parent / data)
    found = fall_back(wanted, Limits(trials=5), workers)
    assert found.best is found.trials[-1]
    assert found.best.verdict.ok
    artifact = ArtifactStore(home.folder("artifacts")).get(found.best.verdict.artifact)
    assert artifact.manifest.precision == "int8-mixed"
    assert set(artifact.manifest.kept_float) == set(found.best.move.settings["keep_float"])
    kept, method = artifact.manifest.kept_float, found.best.move.settings["calibration_method"]
    by_hand = CompileRequest(
        source=source, target=target, precision="int8-mixed", calibration=source.parent / data, use_cache=False,
        conversion=Conversion(keep_float=kept, calibration_method=method),
    )  # fmt: skip
    assert compile_model(by_hand, workers=workers).id == artifact.id
    return found, artifact


def least_column_db(source: Path, artifact: Artifact, samples: np.ndarray[Any, Any], axis: int) -> float:
    """How well the column that follows worst does so, dB of what it changes, on samples that calibrated nothing."""
    files = (source, artifact.folder / artifact.manifest.entry)
    runs = [onnxsession.session(file) for file in files]
    reference, answers = (
        np.stack([run.run(None, {"x": sample[None]})[0][0] for sample in samples]) for run in runs
    )
    others = tuple(at for at in range(reference.ndim) if at != axis)
    signal = ((reference - reference.mean(0)) ** 2).sum(others)
    return float((10 * np.log10(signal / ((answers - reference) ** 2).sum(others))).min())


def nodes_of(artifact: Artifact) -> dict[str, Any]:
    model = onnx.load(str(artifact.folder / artifact.manifest.entry))
    return {name: node for node in model.graph.node for name in node.output}


def test_scores_beside_pixels_follow_once_the_join_stays_in_floats(
    onnx_folder: Path, workers: Workers
) -> None:
    source = onnx_folder / "head.onnx"
    found, artifact = searched(source, "onnxruntime", "images.npz", workers)
    first = found.trials[0].verdict
    assert (first.code, first.why[:21]) == ("levels", "fewer than 16 levels ")
    assert found.trials[-1].move.label == "int8-mixed, minmax, in floats: what joins output y"
    assert len(found.trials) == 5  # three calibrations, fp32, and this
    assert artifact.manifest.kept_float == ("both", "y")
    nodes = nodes_of(artifact)
    given = [nodes[name] for name in nodes["both"].input]
    assert [node.op_type for node in given] == [
        "DequantizeLinear",
        "DequantizeLinear",
    ]  # no Max: none of it is taken
    assert given[0].input[1] != given[1].input[1]
    fresh = np.random.default_rng(77).random((64, 3, 16, 16), dtype=np.float32)
    assert least_column_db(source, artifact, fresh, axis=1) > 15


def test_logits_beside_minus_infinity_do_too(tmp_path: Path, workers: Workers) -> None:
    source = masked_models.write(tmp_path, LOWEST)
    found, artifact = searched(source, "onnxruntime", "text.npz", workers)
    assert found.trials[0].verdict.figures["sqnr_db"] < 5  # type: ignore[operator]
    assert found.trials[-1].move.label.endswith(", in floats: what masks the Softmax")
    assert artifact.manifest.parity.sqnr_db > 20
    nodes = nodes_of(artifact)
    assert nodes["masked"].input[1] == "bias3"
    assert nodes["p"].input[0] == "masked"
    assert {node.op_type for node in nodes.values()} >= {"QuantizeLinear"}


@pytest.mark.slow
def test_and_on_openvino_whose_runtime_errs_at_an_attention_of_integers(
    tmp_path: Path, workers: Workers
) -> None:
    source = masked_models.write(tmp_path, -10000.0)
    found, artifact = searched(source, "openvino", "text.npz", workers)
    assert found.trials[-1].move.label.endswith(", in floats: what masks the Softmax")
    assert "qk" in artifact.manifest.kept_float
    assert artifact.manifest.parity.sqnr_db > 20
