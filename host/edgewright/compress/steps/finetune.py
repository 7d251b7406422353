"""Trains the network further, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from edgewright.compress.step_run import StepRun
from edgewright.nouns.recipe import CompressionStep, Count, StepOptions

Penalty = Annotated[float, Meta(ge=0)]


class Options(StepOptions, frozen=True, kw_only=True):
    """Options of `finetune`.

    Attributes:
        l1, l2: penalties on weights; before a step that prunes, they make many weights small.
    """

    epochs: Count = 10
    l1: Penalty = 0.0
    l2: Penalty = 0.0


def problem(options: Options, earlier: Sequence[str]) -> str:  # noqa: ARG001 - one signature for all
    """`CompressionStep.problem`."""
    return "training would undo the clusters: put `cluster` after it" if "cluster" in earlier else ""


def epoch(run: StepRun, options: Options, number: int) -> float:
    """`CompressionStep.epoch`."""
    return run.train(options, number, l1=options.l1, l2=options.l2)


STEP = CompressionStep(
    name="finetune",
    title="trains further, with labels",
    options=Options,
    shown=lambda _: "finetune",
    epoch=epoch,
    problem=problem,
)
