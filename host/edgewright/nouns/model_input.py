"""ModelInput: the user's description of a model, built once from the command line and the project file."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET, UnsetType

from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT
from edgewright.nouns.project import Compare, Preprocessing


class Absent(Noun, frozen=True, kw_only=True, tag_field="kind", tag="absent"):
    """No calibration data: only for precisions that need none."""


class Synthetic(Noun, frozen=True, kw_only=True, tag_field="kind", tag="synthetic"):
    """Seeded random calibration data, for trials."""


class DataFile(Noun, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """Calibration data: `.npz`, `.npy` or a folder of images.

    Attributes:
        sha256: of the relevant contents.
        from_model: they came with the model's file; unset means no.
    """

    path: Path
    sha256: str
    from_model: bool | UnsetType = UNSET  # not in documents of earlier plans


CalibrationData = Absent | Synthetic | DataFile


class ModelInput(Noun, frozen=True, kw_only=True):
    """A model and its data.

    Attributes:
        source: file or SavedModel folder, or `module.py:function`; or the folder of a finished artifact.
        name: the model's name on boards.
        shapes: input name -> static shape, for inputs with dynamic axes other than the batch.
        conversion: the user's conversion options besides target and precision.
        preprocessing: how images become inputs; recorded in the manifest.
        compare: which parts of the outputs are compared with the source's.
        labels: text file with the class names; recorded in the manifest.
        evaluation: `.npz` with the inputs and `labels`, a folder of labelled images, or `module.py:function`.
        metric: name of a metric, or `module.py:function`.
        score: name or index of the output to score; None for the only one that fits the labels.
        allow_constant: accept a model that gives the same output for every test input.
        trusted: open it although it holds code, or operators that reach files; unset means no.
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
    trusted: bool | UnsetType = UNSET  # not in a plan's document, so that ids of earlier plans stay
