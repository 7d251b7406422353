"""Makes a student of the network itself: the same layers with fewer channels and new weights, for a teacher to train.

The width of all layers shrinks by one factor, as by the width multiplier of MobileNets (Howard et al., 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from edgewright.compress.reasons import by_reason
from edgewright.compress.step_run import StepRun
from edgewright.compress.steps.prune_channels import notes
from edgewright.nouns.compression import ChannelPruning
from edgewright.nouns.recipe import CompressionStep, StepOptions


class Options(StepOptions, frozen=True, kw_only=True):
    """Options of `narrow`. Attributes as in `ChannelPruning`; `epochs` train with labels."""

    share: Annotated[float, Meta(gt=0, lt=1)]
    protect: tuple[str, ...] = ()
    round_to: int = 1


def problem(options: Options, earlier: Sequence[str]) -> str:  # noqa: ARG001 - one signature for all
    """`CompressionStep.problem`."""
    return f"put it before `{earlier[0]}`: it gives all layers new weights" if earlier else ""


def begin(run: StepRun, options: Options) -> list[str]:
    """`CompressionStep.begin`."""
    wanted = ChannelPruning(
        share=options.share,
        importance="random",
        protect=options.protect,
        round_to=options.round_to,
        seed=run.seed,
    )
    found = notes(run.network.prune_channels(wanted, {}))
    return [*found, *by_reason("weights kept", run.network.reset_weights(run.seed))]


def epoch(run: StepRun, options: Options, number: int) -> float:
    """`CompressionStep.epoch`."""
    return run.train(options, number)


STEP = CompressionStep(
    name="narrow",
    title="starts again with fewer channels and new weights",
    options=Options,
    shown=lambda options: f"narrow -{options.share:.0%}",
    begin=begin,
    epoch=epoch,
    problem=problem,
    cuts_channels=True,
)
