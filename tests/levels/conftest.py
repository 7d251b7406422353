"""Models whose outputs int8 rounds too coarsely, or does not, and their conversion in shared worker processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import coarse_models
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact

DATA = {
    "head.keras": "images.npz",
    "even.keras": "images.npz",
    "classes.keras": "images.npz",
    "offset.keras": "sensors.npz",
    "masked.keras": "masked.npz",
    "lowest.keras": "lowest.npz",
}


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `coarse_models.write_onnx` writes."""
    folder = tmp_path_factory.mktemp("coarse-onnx")
    coarse_models.write_onnx(folder)
    return folder


@pytest.fixture(scope="session")
def keras_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `write_keras` of `coarse_models` and `masked_models` write."""
    folder = tmp_path_factory.mktemp("coarse-keras")
    command = [sys.executable, "-W", "ignore", coarse_models.__file__, str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=250)
    return folder


@pytest.fixture
def convert(workers: Workers) -> Callable[..., Artifact]:
    """`convert(folder / "head.keras", "tflite", precision="int8")`: the artifact, calibrated with the data beside the model."""

    def made(source: Path, target: str, precision: str = "int8", **more: object) -> Artifact:
        data = source.parent / DATA.get(source.name, "images.npz")
        return compile_model(
            compile_request(source=source, target=target, precision=precision, calibration=data, **more),  # type: ignore[arg-type]
            workers=workers,
        )

    return made
