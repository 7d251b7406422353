"""The models, each with calibration data: digits, keyword spotting, visual wake words, MobileNetV2, an attention block, an LSTM."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import measuring
import numpy as np
from truth import given
from truth.cases import Case

HERE = Path(__file__).parents[1]
SAMPLES = 64  # of calibration


class Model(NamedTuple):
    """A source model.

    Attributes:
        calibration: a file, or the word `synthetic` for a model with random weights.
    """

    name: str
    file: Path
    calibration: str


def _of(build: Callable[[Path], Case]) -> Callable[[str, Path], Model]:
    def made(name: str, folder: Path) -> Model:
        case = build(folder)
        file = folder / f"{case.name}.npz"
        np.savez(file, input_0=case.pool[0][:SAMPLES])
        return Model(name, case.file, str(file))

    return made


def _random(script: str, *arguments: str) -> Callable[[str, Path], Model]:
    """A model whose weights are random, from a script beside this package."""

    def made(name: str, folder: Path) -> Model:
        file = folder / "random.keras"
        measuring.process([sys.executable, str(HERE / script), *arguments, str(file)])
        return Model(name, file, "synthetic")

    return made


# name -> function(name, scratch folder); raises truth.cases.Absent if the model is not on this machine
MODELS: dict[str, Callable[[str, Path], Model]] = {
    "digits CNN": _of(given.digits),
    "KWS DS-CNN": _of(given.keywords),
    "VWW MobileNetV1 0.25": _of(given.wakeword),
    "MobileNetV2 224": _random("mobilenet.py"),
    "attention block": _random("sequence_nets.py", "attention"),
    "LSTM": _random("sequence_nets.py", "lstm"),
}
