"""Replaces the weights of each channel by the nearest of a few values: stored and in transit, that takes less space."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgewright.compress.clusters import clustered
from edgewright.compress.step_run import StepRun
from edgewright.compress.steps.prune import chosen
from edgewright.nouns.recipe import CompressionStep, StepOptions


class Options(StepOptions, frozen=True, kw_only=True):
    """Options of `cluster`.

    Attributes:
        clusters: distinct values per channel, or per layer.
        per_channel: each output channel has its own values.
        protect: names of layers that keep their weights.
    """

    clusters: Annotated[int, Meta(ge=2, le=256)] = 16
    per_channel: bool = True
    protect: tuple[str, ...] = ()


def problem(options: Options, earlier: object) -> str:  # noqa: ARG001 - one signature for all
    """`CompressionStep.problem`."""
    return "training would undo the clusters: leave `epochs` out" if options.epochs else ""


def begin(run: StepRun, options: Options) -> list[str]:
    """`CompressionStep.begin`."""
    import numpy as np

    for layer in chosen(run.network.layers(), options.protect):
        weight = run.network.weight(layer.name)
        rows = np.moveaxis(weight, layer.outputs, 0)
        flat = rows.reshape(len(rows) if options.per_channel else 1, -1)
        made = clustered(flat, options.clusters).reshape(rows.shape)
        run.network.set_weight(layer.name, np.moveaxis(made, 0, layer.outputs))
    return []


STEP = CompressionStep(
    name="cluster",
    title="replaces weights by the nearest of a few values",
    options=Options,
    shown=lambda options: f"cluster {options.clusters}",
    begin=begin,
    problem=problem,
)
