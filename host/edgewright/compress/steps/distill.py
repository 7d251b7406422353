"""Trains the network to answer as a teacher does: by default as it did itself before it was made smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from edgewright.compress import distillation
from edgewright.compress.distillation import DistillationOptions
from edgewright.nouns.recipe import CompressionStep, Count


class Options(DistillationOptions, frozen=True, kw_only=True):
    """Options of `distill`."""

    epochs: Count = 10
    soft: Annotated[float, Meta(gt=0, le=1)] = 0.9


def problem(options: Options, earlier: Sequence[str]) -> str:
    """`CompressionStep.problem`."""
    if options.teacher is None and not earlier:
        return "its teacher would be the network itself: name a `teacher`, or put a step before it"
    return distillation.problem(options, earlier)


STEP = CompressionStep(
    name="distill",
    title="trains to answer as a teacher does",
    options=Options,
    shown=lambda _: "distill",
    epoch=distillation.train,
    problem=problem,
    teacher=lambda options: options.teacher,
)
