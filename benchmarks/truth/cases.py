"""The models that are tried, each with calibration data and other data; trained models if they are available."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from truth.decide import Decide

Array = Any
ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
CALIBRATION = 256  # of shared samples; the others evaluate


class Absent(Exception):
    """A case is not available on this machine; the message says what is missing."""


class Case(NamedTuple):
    """A model and its data.

    Attributes:
        pool: samples for calibration, one array an input, of shape (n, *input shape). inputs: others.
        labels: of `inputs`; None if there are none.
        colours: whether the first input's last axis holds red, green and blue.
        shapes: of inputs with open axes.
        trained: its weights are trained, not random.
        data: `real`, or a description of the data.
        most: for slow models, the most samples that evaluate.
    """

    name: str
    file: Path
    pool: list[Array]
    inputs: list[Array]
    decide: tuple[Decide, ...] = (Decide(),)
    labels: Array | None = None
    colours: bool = False
    shapes: dict[str, tuple[int, ...]] = {}  # noqa: RUF012 - never changed
    trained: bool = True
    data: str = "real"
    most: int = 10_000

    @property
    def classes(self) -> int:
        """The number of classes of its labels; 0 without labels."""
        return 0 if self.labels is None else len(np.unique(self.labels))


Builder = Callable[[Path], Case]


def read(name: str, file: Path, folder: Path, **more: Any) -> Case:
    """A case from `calibration.npz` and `evaluation.npz`, with members `input_<i>`, and `labels` where there are any."""
    with np.load(folder / "calibration.npz") as pool, np.load(folder / "evaluation.npz") as held:
        count = len(pool.files)
        labels = held["labels"] if "labels" in held.files else None
        return Case(
            name,
            file,
            [pool[f"input_{at}"] for at in range(count)],
            [held[f"input_{at}"] for at in range(count)],
            labels=labels,
            **more,
        )


def split(arrays: list[Array], labels: Array | None = None, calibration: int = CALIBRATION) -> dict[str, Any]:
    """A seeded share for calibration, and the rest: `pool`, `inputs` and `labels` of a Case."""
    order = np.random.default_rng(5).permutation(len(arrays[0]))
    head, tail = order[:calibration], order[calibration:]
    return {
        "pool": [array[head] for array in arrays],
        "inputs": [array[tail] for array in arrays],
        "labels": None if labels is None else labels[tail],
    }


def builders() -> dict[str, Builder]:
    """All cases by name. A builder takes an empty folder, and raises Absent if something is missing."""
    from truth import given, packaged, reported, trained

    return {**given.CASES, **trained.CASES, **reported.CASES, **packaged.CASES}
