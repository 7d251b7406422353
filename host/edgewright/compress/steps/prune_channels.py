"""Removes the least important channels, and all that depends on them: the network gets smaller, not sparser."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import structs

from edgewright.compress import sensitivity
from edgewright.compress.reasons import by_reason
from edgewright.compress.step_run import StepRun
from edgewright.nouns.compression import ChannelPruning, ChannelReport
from edgewright.nouns.recipe import CompressionStep, Count, Share, StepOptions


class Options(StepOptions, frozen=True, kw_only=True):
    """Options of `prune-channels`. Attributes as in `ChannelPruning`, and:

    Attributes:
        keep_sensitive: share of the layers, those whose loss changes the outputs most, that keep all their channels too.
    """

    share: Share
    epochs: Count = 10
    importance: Literal["l1", "l2", "taylor", "activation", "random"] = "l2"
    protect: tuple[str, ...] = ()
    round_to: int = 1
    keep_sensitive: Share = 0.0


def problem(options: Options, earlier: Sequence[str]) -> str:  # noqa: ARG001 - one signature for all
    """`CompressionStep.problem`."""
    late = [name for name in ("prune", "cluster") if name in earlier]
    return f"put it before `{late[0]}`, which works on the weights that stay" if late else ""


def scan(run: StepRun, options: Options) -> tuple[Options, list[str]]:
    """`CompressionStep.scan`. Layers whose channels cannot be removed are not scanned."""
    if not options.keep_sensitive:
        return options, []
    with tempfile.TemporaryDirectory() as folder:
        run.network.checkpoint(Path(folder) / "before")
        report = _removed(run, options)
        run.network.restore(Path(folder) / "before")
    names = {one.layer for one in report.layers}
    layers = [layer for layer in run.network.layers() if layer.name in names]
    weights = {layer.name: run.network.weight(layer.name) for layer in layers}
    cuts = sensitivity.channel_cuts(layers, weights, options.share)
    kept, notes = sensitivity.most_sensitive(run, cuts, options.keep_sensitive)
    return structs.replace(options, protect=(*options.protect, *kept)), notes


def begin(run: StepRun, options: Options) -> list[str]:
    """`CompressionStep.begin`."""
    return notes(_removed(run, options))


def notes(report: ChannelReport) -> list[str]:
    """What people should know of a removal."""
    kept = by_reason("all channels kept", report.protected)
    return kept if report.layers else ["no channel could be removed", *kept]


def _removed(run: StepRun, options: Options) -> ChannelReport:
    wanted = ChannelPruning(
        share=options.share,
        importance=options.importance,
        protect=options.protect,
        round_to=options.round_to,
        seed=run.seed,
    )
    return run.network.prune_channels(wanted, run.scores(options.importance))


def epoch(run: StepRun, options: Options, number: int) -> float:
    """`CompressionStep.epoch`."""
    return run.train(options, number)


STEP = CompressionStep(
    name="prune-channels",
    title="removes the least important channels",
    options=Options,
    shown=lambda options: f"channels -{options.share:.0%}",
    scan=scan,
    begin=begin,
    epoch=epoch,
    problem=problem,
    cuts_channels=True,
)
