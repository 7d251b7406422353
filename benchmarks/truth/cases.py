"""The models that are tried, each with calibration data and other, labelled data: real trained ones where they are there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import measuring
import numpy as np

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
_BENCHMARKS = Path(__file__).parents[1]
_CALIBRATION = 256  # of shared samples; the others evaluate


class Case(NamedTuple):
    """A model and its data.

    Attributes:
        pool: samples for calibration, of shape (n, *input shape). inputs, labels: others.
        colours: whether the input's last axis holds red, green and blue.
        first: where in the output the classes begin.
    """

    name: str
    file: Path
    pool: Any
    inputs: Any
    labels: Any
    colours: bool = False
    first: int = 0


def digits(_: Path) -> Case:
    """The repository's own digits: three convolutions, two dense layers, ends in probabilities."""
    folder = ROOT / "examples" / "digits"
    with np.load(folder / "calibration.npz") as pool, np.load(folder / "evaluation.npz") as held:
        return Case(
            "digits", folder / "digits-v1.keras", pool["x"][:, None], held["x"][:, None], held["labels"]
        )


def keywords(folder: Path) -> Case:
    """MLPerf Tiny's keyword spotting, or without ../shared a digits net that ends in logits."""
    model, data = SHARED / "models" / "kws_ref_model", SHARED / "data" / "kws_800.npz"
    if not (model.is_dir() and data.is_file()):
        return _trained("keras", folder)
    with np.load(data) as found:
        inputs, labels = _mixed(found["input_1"][:, None], found["labels"])
    n = _CALIBRATION
    return Case("kws_ref_model", model, inputs[:n], inputs[n:], labels[n:])


def wakeword(folder: Path) -> Case:
    """MLPerf Tiny's visual wake words, or without ../shared a perceptron for digits."""
    model, data = SHARED / "models" / "vww_96.h5", SHARED / "data" / "vww_800"
    if not (model.is_file() and data.is_dir()):
        return _trained("onnx", folder)
    from PIL import Image

    rows, classes = [], []
    for label, kind in enumerate(("0_no_person", "1_person")):
        for file in sorted((data / kind).glob("*.jpg")):
            rows.append(np.asarray(Image.open(file), np.uint8)[None, :, :, ::-1])  # the files hold blue first
            classes.append(label)
    pictures, labels = _mixed(np.stack(rows), np.array(classes))
    n = _CALIBRATION
    return Case("vww_96", model, _unit(pictures[:n]), _unit(pictures[n:]), labels[n:], colours=True)


def boxes(folder: Path) -> Case:
    """A small detector, trained here: boxes in pixels beside scores, so that its columns are slices of different size."""
    from truth.boxes import BOX

    place = folder / "boxes-data"
    place.mkdir()
    measuring.say("training a detector")
    measuring.process([sys.executable, "-W", "ignore", "-m", "truth.boxes", str(place)])
    return _read("boxes", place / "boxes.keras", place)._replace(first=BOX)


CASES: dict[str, Callable[[Path], Case]] = {
    "digits": digits,
    "keywords": keywords,
    "wakeword": wakeword,
    "boxes": boxes,
}


def _trained(kind: str, folder: Path) -> Case:
    """A digits net of `digits_models.py`."""
    import digits_models

    place = folder / f"{kind}-data"
    place.mkdir()
    measuring.say(f"../shared is absent: training a digits net with {kind}")
    measuring.process(
        [sys.executable, "-W", "ignore", str(_BENCHMARKS / "digits_models.py"), kind, str(place)]
    )
    return _read(f"digits-{kind}", place / digits_models.FILES[kind], place)


def _read(name: str, file: Path, folder: Path) -> Case:
    with np.load(folder / "calibration.npz") as pool, np.load(folder / "evaluation.npz") as held:
        return Case(name, file, pool["input_0"], held["input_0"], held["labels"])


def _mixed(inputs: Any, labels: Any) -> tuple[Any, Any]:
    order = np.random.default_rng(5).permutation(len(labels))
    return inputs[order], labels[order]


def _unit(pictures: Any) -> Any:
    return pictures.astype(np.float32) / 255
