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


@pytest.mark.slow
def test_and_on_openvino_whose_runtime_errs_at_an_attention_of_integers(
    tmp_path: Path, workers: Workers
) -> None:
    source = masked_models.write(tmp_path, -10000.0)
    found, artifact = searched(source, "openvino", "text.npz", workers)
    assert found.trials[-1].move.label.endswith(", in floats: what masks the Softmax")
    assert "qk" in artifact.manifest.kept_float
    assert artifact.manifest.parity.sqnr_db > 20
