"""CompileRequest: what to compile; and Plan: what that would do."""

from __future__ import annotations

from pathlib import Path

from edgewright.compile.calibrate import SampleSet
from edgewright.errors import Code, UsageError
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT
from edgewright.nouns.project import Compare, Preprocessing
from edgewright.precisions import EXACT

SYNTHETIC = "synthetic"  # the word that stands for seeded random calibration data


class CompileRequest(Noun, frozen=True, kw_only=True):
    """One compilation.

    Attributes:
        source: file or SavedModel folder, or `module.py:function`.
        target: name of a target.
        precision: name of a precision. None: `as-is` for a source that is already in the target's own form
            and quantised, or that can go no other way; else `default_precision`.
        default_precision: the profile's or the project's.
        conversion: what the user says of it beyond target and precision.
        inputs: input name -> static shape, for inputs with dynamic axes other than the batch.
        calibration: `.npz`, `.npy`, a folder of images, the word `synthetic`, or None.
        preprocessing: how images become inputs; recorded in the manifest.
        evaluation: `.npz` with the inputs and `labels`, a folder of labelled images, or `module.py:function`.
        metric: name of a metric, or `module.py:function`.
        score: name or index of the output that is scored; None: the only one that the labels fit.
        max_drop: greatest drop (`Metric.drop`) from source to artifact on the host; needs `evaluation`.
        opset: the ONNX opset that converters write, where they can choose; a newer one where a model needs it.
        max_opset: newest ONNX opset that may be produced: what the board's runtime reads.
        compare: what of the answers is compared with the source's.
        labels: text file with the classes' names; recorded in the manifest.
        goldens: how many golden inputs, at least 8.
        allow_constant: accept a model that gives the same output for every input.
        use_cache: take an artifact that was made from the same inputs before.
    """

    source: Path
    target: str
    precision: str | None = None
    default_precision: str = EXACT.name
    inputs: dict[str, tuple[int, ...]] = {}
    conversion: Conversion = Conversion()
    calibration: Path | str | None = None
    preprocessing: Preprocessing | None = None
    evaluation: Path | None = None
    metric: str = DEFAULT
    score: str | None = None
    max_drop: float | None = None
    opset: int = 13
    max_opset: int | None = None
    compare: Compare = Compare()
    labels: Path | None = None
    goldens: int = 16
    allow_constant: bool = False
    use_cache: bool = True


class Plan(Noun, frozen=True, kw_only=True):
    """What `compile_model` would do.

    Attributes:
        steps: what will be done, in order, one short phrase each.
        key: hex sha256 of everything that decides the artifact; the cache's key.
        artifact: id of the artifact that the cache holds for the key, or None.
    """

    source: Source
    target: str
    precision: str
    steps: tuple[str, ...]
    key: str
    artifact: str | None


def calibration_data(request: CompileRequest) -> SampleSet:
    """The samples for whatever runs the source; for its inputs once they are known (`SampleSet.of`)."""
    given = request.calibration
    path = None if given is None or given == SYNTHETIC else Path(given).absolute()
    return SampleSet(path=path, preprocessing=request.preprocessing)


def check_limit(max_drop: float | None, evaluation: Path | None) -> None:
    """Raises UsageError for a limit without data to check it."""
    if max_drop is not None and evaluation is None:
        raise UsageError(
            "a limit on the drop of accuracy needs labelled data",
            hint="give --evaluation FILE, or leave --max-drop out",
            code=Code.EVALUATION_MISSING,
        )
