"""Cases that are trained when the benchmark runs, in seconds: `training.py` trains them in a separate process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import digits_models
import measuring

from truth.boxes import BOX, PIXELS
from truth.cases import Builder, Case, read
from truth.decide import Decide

_BENCHMARKS = Path(__file__).parents[1]


def _trained(name: str, **more: Any) -> Callable[[Path], Case]:
    def build(folder: Path) -> Case:
        _once(folder, ["-m", "truth.training", name, str(folder)])
        return read(name, folder / f"{name}.keras", folder, **more)

    return build


def boxes(folder: Path) -> Case:
    """A small detector: boxes in pixels beside scores, so that its columns are slices of different size."""
    _once(folder, ["-m", "truth.boxes", str(folder)])
    corners = Decide("value", near=PIXELS / 16)
    return read(
        "boxes",
        folder / "boxes.keras",
        folder,
        decide=(Decide(first=BOX), corners),
        data="digits placed on empty pictures",
    )


def _digits(kind: str) -> Callable[[Path], Case]:
    def build(folder: Path) -> Case:
        _once(folder, [str(_BENCHMARKS / "digits_models.py"), kind, str(folder)])
        return read(f"digits-{kind}", folder / digits_models.FILES[kind], folder)

    return build


def _once(folder: Path, arguments: list[str]) -> None:
    """Trains a model unless an earlier run did."""
    done = folder / "done"
    if not done.exists():
        measuring.process([sys.executable, "-W", "ignore", *arguments])
        done.touch()


CASES: dict[str, Builder] = {
    "boxes": boxes,
    "digits-torch": _digits("torch"),
    "digits-onnx": _digits("onnx"),
    "digits-lstm": _trained("digits-lstm"),
    "digits-attention": _trained("digits-attention"),
    "segments": _trained(
        "segments", data="digits placed on drawn pictures", decide=(Decide("map", rest=10),)
    ),
    "pressure": _trained("pressure", data="drawn", decide=(Decide("value", near=0.3),)),
}
