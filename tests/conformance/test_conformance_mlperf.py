"""Both MLPerf Tiny models in each format, from file to board, on every target that accepts it. The models are beside the
project, in `../shared/models`. Where they are missing, these tests are skipped, which is a failure in CI.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.pipeline import plan
from edgewright.errors import ConversionError

MODELS = Path(__file__).parents[3] / "shared" / "models"
FORMATS = {
    "pretrainedResnet.h5": "h5",
    "kws_ref_model": "savedmodel",
    "kws_ref_model_float32.tflite": "tflite",
}
PHOTOS = MODELS.parent / "data" / "vww_800"
PRECISIONS = {"h5": ("fp32", "int8"), "savedmodel": ("fp32", "int8"), "tflite": (None,)}


def boards_own(name: str) -> bool:
    """Whether a simulated board of this machine's kind can be given the target's runtime."""
    return bool(targets.load(name).runtimes_for("3.11", "x86_64", "2.36"))


def cases() -> list[tuple[str, str, str | None]]:
    """Each file with each target whose route from it needs no toolchain; the precision None is the file's own."""
    found = []
    for file, kind in FORMATS.items():
        for name in filter(boards_own, targets.names()):
            target = targets.load(name)
            for precision in PRECISIONS[kind]:
                routes = target.as_is if precision is None else target.routes
                made = precision is None or precision in target.precisions
                if made and kind in routes and not routes[kind].toolchains:
                    found.append((file, name, precision))
    return found


CASES = cases()
pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in (PHOTOS, *(MODELS / file for file in FORMATS))),
    reason=f"MLPerf Tiny's models and data are not in {MODELS.parent}",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in the size of CIFAR's pictures, 0-255: for random pictures, the net's outputs in 8 bits differ from those in floats."""
    from PIL import Image

    rows = []
    for file in sorted(PHOTOS.glob("*/*.jpg"))[::4]:
        with Image.open(file) as picture:
            rows.append(
                np.asarray(picture.resize((32, 32)), np.float32)[..., ::-1]
            )  # blue comes first in the files
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, input_1=np.stack(rows))
    return path


@pytest.mark.parametrize("name", sorted({name for file, name, _ in CASES if file.endswith(".tflite")}))
def test_a_file_that_is_quantised_whatever_its_name_says_is_not_converted_again(name: str) -> None:
    request = compile_request(source=MODELS / "kws_ref_model_float32.tflite", target=name, precision="fp32")
    with pytest.raises(ConversionError, match="it is quantised already"):
        plan(request)


def test_every_format_goes_to_a_board() -> None:
    assert {file for file, _, _ in CASES} == set(FORMATS)
    assert {name for _, name, _ in CASES} == {"iree", "ncnn", "onnxruntime", "openvino", "tflite"}


@pytest.mark.slow
@pytest.mark.sampled(5)
@pytest.mark.parametrize(("file", "name", "precision"), CASES)
def test_a_real_model_answers_on_the_board_as_at_its_source(
    deployed, answered, pictures: Path, file: str, name: str, precision: str | None
) -> None:
    calibration = pictures if file.endswith(".h5") else "synthetic"
    outcome = deployed(MODELS / file, name, precision, calibration=calibration)
    assert answered(outcome) > (60 if precision == "fp32" else 0)
    assert outcome.precision == (precision or "as-is")
