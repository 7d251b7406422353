"""ModelInput: what a user says of one model, made once from the command line and the project file."""

from __future__ import annotations

from pathlib import Path

from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT
from edgewright.nouns.project import Compare, Preprocessing


class Absent(Noun, frozen=True, kw_only=True, tag_field="kind", tag="absent"):
    """No calibration data: only precisions that need none."""


class Synthetic(Noun, frozen=True, kw_only=True, tag_field="kind", tag="synthetic"):
    """Seeded random calibration data, for trying out."""


class DataFile(Noun, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """Calibration data: `.npz`, `.npy` or a folder of images, and the sha256 of what counts in it."""

    path: Path
    sha256: str


CalibrationData = Absent | Synthetic | DataFile


class ModelInput(Noun, frozen=True, kw_only=True):
    """A model and its data.

    Attributes:
        source: file or SavedModel folder, or `module.py:function`; the folder of an artifact that is shipped as it is.
        name: the model's name on boards.
        shapes: input name -> static shape, for inputs with dynamic axes other than the batch.
        conversion: what the user says of the conversion beyond target and precision.
        preprocessing: how images become inputs; recorded in the manifest.
        compare: what of the outputs is compared with the source's.
        labels: text file with the class names; recorded in the manifest.
        evaluation: `.npz` with the inputs and `labels`, a folder of labelled images, or `module.py:function`.
        metric: name of a metric, or `module.py:function`.
        score: name or index of the output that is scored; None: the only one that the labels fit.
        allow_constant: accept a model that gives the same output for every test input.
    """

    source: Path
    name: str = "model"
    shapes: dict[str, tuple[int, ...]] = {}
    conversion: Conversion = Conversion()
    calibration: CalibrationData = Absent()
    preprocessing: Preprocessing | None = None
    compare: Compare = Compare()
    labels: Path | None = None
    evaluation: Path | None = None
    metric: str = DEFAULT
    score: str | None = None
    allow_constant: bool = False
