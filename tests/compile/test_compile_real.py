"""MLPerf Tiny's ResNet-8 and keyword spotting from `../shared/models`; skipped where they are missing, which is a failure in CI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers

MODELS = Path(__file__).parents[3] / "shared" / "models"
SOURCES = ("pretrainedResnet.h5", "kws_ref_model", "kws_ref_model_float32.tflite")
CASES = [
    (source, target, precision)
    for source in SOURCES[:2]
    for target in ("tflite", "onnxruntime", "openvino")
    for precision in ("fp32", "fp16", "int8-dynamic", "int8")
]
pytestmark = pytest.mark.skipif(
    not all((MODELS / source).exists() for source in SOURCES),
    reason=f"MLPerf Tiny's models are not in {MODELS}",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth random pictures in CIFAR's range, 0-255."""
    generator = np.random.default_rng(3)
    coarse = generator.uniform(0, 255, (48, 4, 4, 3)).astype(np.float32)
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, input_1=coarse.repeat(8, axis=1).repeat(8, axis=2))
    return path


@pytest.mark.parametrize(("source", "target", "precision"), CASES)
def test_real_models_go_everywhere(
    workers: Workers, pictures: Path, source: str, target: str, precision: str
) -> None:
    exact = precision in (
        "fp32",
        "fp16",
    )  # in 8 bits it classifies a tenth of such pictures differently, and is refused
    calibration = pictures if source.endswith(".h5") and exact else "synthetic"
    manifest = compile_model(
        compile_request(source=MODELS / source, target=target, precision=precision, calibration=calibration),
        workers=workers,
    ).manifest
    assert manifest.parity.sqnr_db > {"fp32": 100, "fp16": 40, "int8-dynamic": 15, "int8": 12}[precision]
    assert manifest.model_bytes < 360_000


def test_a_quantised_real_file_goes_as_it_is(workers: Workers) -> None:
    request = compile_request(source=MODELS / "kws_ref_model_float32.tflite", target="tflite")
    manifest = compile_model(request, workers=workers).manifest
    assert manifest.precision == "as-is"
    assert manifest.inputs[0].shape == (1, 49, 10, 1)
