"""From ONNX too, int8 leaves in floats what one scale would destroy, and only that."""

from __future__ import annotations

from pathlib import Path

import coarse_models
import masked_models
import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright_targets.tflite import graph

pytestmark = pytest.mark.slow  # the toolchain's installation


@pytest.fixture
def made(
    tmp_path: Path, workers: Workers, onnx2tf_home: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Artifact]:
    """Name of a model -> its int8."""
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(onnx2tf_home))
    coarse_models.write_onnx(tmp_path)
    masked_models.write(tmp_path, float(np.finfo("float32").min))
    data = {"head": "images.npz", "even": "images.npz", "attention": "text.npz"}
    return {
        name: compile_model(
            compile_request(
                source=tmp_path / f"{name}.onnx",
                target="tflite",
                precision="int8",
                calibration=tmp_path / file,
            ),
            workers=workers,
        )
        for name, file in data.items()
    }


def joins(artifact: Artifact) -> set[str]:
    data = (artifact.folder / artifact.manifest.entry).read_bytes()
    return {one.outputs[0].type for one in graph.operators(data) if one.kind == "CONCATENATION"}


def test_ends_and_masks_stay_in_floats_where_they_have_to(made: dict[str, Artifact]) -> None:
    (note,) = made["head"].manifest.notes
    assert note.startswith("in floats: what joins output y: the range of one part is 0.0")
    assert joins(made["head"]) == {"FLOAT32"}
    assert made["even"].manifest.notes == ()
    assert joins(made["even"]) == {"INT8"}
    (note,) = made["attention"].manifest.notes
    assert note.startswith("in floats: what masks the Softmax: ")
    assert made["attention"].manifest.parity.sqnr_db > 20
