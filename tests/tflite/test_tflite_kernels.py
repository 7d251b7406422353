"""Quantised files go through as they are, though LiteRT's own kernels round differently; what is planted in them does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uint8_models
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality import kernel_spread
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact

pytestmark = pytest.mark.slow  # TensorFlow makes the files
KINDS = ("classifier", "heatmap")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uint8")
    subprocess.run([sys.executable, uint8_models.__file__, str(folder)], check=True, timeout=240)
    return folder


@pytest.fixture(scope="module")
def as_it_is(files: Path, workers: Workers) -> Callable[[str, bool], Artifact]:
    def made(name: str, data: bool) -> Artifact:
        request = compile_request(
            source=files / f"{name}.tflite", target="tflite", calibration=files / "pictures.npz" if data else None, use_cache=False
        )  # fmt: skip
        return compile_model(request, workers=workers)

    return made


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_quantised_file_goes_through_as_it_is(as_it_is, name: str, data: bool) -> None:
    manifest = as_it_is(name, data).manifest
    assert (manifest.precision, manifest.goldens.origin) == ("as-is", "calibration" if data else "random")
    assert manifest.parity.sqnr_db < 40, "the kernels agree: this shows nothing"


def test_what_the_kernels_disagree_about_is_noted_and_widens_the_limits(
    as_it_is, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = as_it_is("classifier", True).manifest
    assert any("kernels of its own runtime differ by" in note for note in wide.notes)
    monkeypatch.setattr(kernel_spread, "let_in", lambda *_: ([], []))
    narrow = as_it_is("classifier", True).manifest
    before, after = narrow.verdict[0].limits, wide.verdict[0].limits
    assert before.noise is not None and after.noise is not None and after.noise > 1.2 * before.noise


def test_limits_are_nearer_than_another_class_is(files: Path, as_it_is) -> None:
    """What is let in is rounding: answers of two classes exchanged are far outside."""
    artifact = as_it_is("classifier", True)
    (verdict,) = artifact.manifest.verdict
    scale = artifact.manifest.outputs[0].scale or 0.0
    with np.load(artifact.folder / artifact.manifest.goldens.file) as archive:
        reference = archive["output_0"].reshape(-1, 1000) * scale
    busiest = np.argsort(reference.var(axis=0))[-2:]
    exchanged = reference.copy()
    exchanged[:, busiest] = reference[:, busiest[::-1]]
    noise = np.square(exchanged - reference).sum(axis=0)
    limits = verdict.limits.slices[-1].noise
    assert all(limits[index] is not None and noise[index] > limits[index] for index in busiest)
