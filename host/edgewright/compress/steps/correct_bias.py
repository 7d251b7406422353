"""Bias correction: undoes the shift of each channel's mean that rounding to int8 causes. It needs inputs, but no labels.

The network stays one of floats. Its file holds the samples, so that a conversion to int8 finds the same ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from edgewright.compress import bias_correction, calibration_samples
from edgewright.compress.reasons import by_reason
from edgewright.compress.step_run import StepRun
from edgewright.nouns.recipe import CompressionStep, StepOptions


class Options(StepOptions, frozen=True, kw_only=True):
    """Options of `correct-bias`.

    Attributes:
        samples: as of `qat`; the means are measured with them too.
    """

    samples: Annotated[int, Meta(ge=1)] = 128


def problem(options: Options, earlier: Sequence[str]) -> str:
    """`CompressionStep.problem`."""
    if options.epochs:
        return "it does not train: leave `epochs` out"
    return "put it before `qat`, which trains the biases too" if "qat" in earlier else ""


def begin(run: StepRun, options: Options) -> list[str]:
    """`CompressionStep.begin`. The simulation lasts, as after `qat`."""
    chosen, notes = calibration_samples.for_ranges(run.inputs, options.samples)
    found = bias_correction.correct(run.network, chosen)
    if found.undone:
        notes.append(
            "biases are as before: the correction did not make the outputs of the int8 network better"
        )
    return [*notes, *by_reason("biases not corrected", found.left)]


STEP = CompressionStep(
    name="correct-bias",
    title="shifts biases to undo what rounding to int8 shifts",
    options=Options,
    shown=lambda _: "correct-bias",
    begin=begin,
    problem=problem,
)
