"""Quantisation-aware training: trains while the rounding of int8 inference is simulated.

The network stays one of floats. Its file holds the samples that the ranges were measured with, so that a conversion to int8 finds the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from edgewright.compress import calibration_samples, distillation
from edgewright.compress.distillation import DistillationOptions
from edgewright.compress.step_run import StepRun
from edgewright.nouns.recipe import CompressionStep, Count

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Options(DistillationOptions, frozen=True, kw_only=True):
    """Options of `qat`. Without `soft`, the labels alone count.

    Attributes:
        samples: of the training inputs, spread evenly, that ranges are measured with; fewer if they are larger than 64 MiB.
    """

    epochs: Count = 5
    samples: Annotated[int, Meta(ge=1)] = 128


def problem(options: Options, earlier: Sequence[str]) -> str:
    """`CompressionStep.problem`."""
    if options.soft == 0 and (options.teacher is not None or options.hints):
        return f"its {'hints count' if options.hints else 'teacher counts'} only with `soft` above 0"
    return distillation.problem(options, earlier)


def begin(run: StepRun, options: Options) -> list[str]:
    """`CompressionStep.begin`. The simulation lasts: later steps, and the last look, are of the simulated network too."""
    chosen, notes = calibration_samples.for_ranges(run.inputs, options.samples)
    run.network.simulate(chosen)
    return notes


def epoch(run: StepRun, options: Options, number: int) -> float:
    """`CompressionStep.epoch`."""
    return distillation.train(run, options, number) if options.soft else run.train(options, number)


STEP = CompressionStep(
    name="qat",
    title="trains with the rounding of int8",
    options=Options,
    shown=lambda _: "qat",
    begin=begin,
    epoch=epoch,
    problem=problem,
    teacher=lambda options: options.teacher,
    rate=1e-4,
)
