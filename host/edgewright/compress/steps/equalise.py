"""Cross-layer equalisation: scales channels between layers so that int8 keeps more of them. The network's function stays the same."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.compress import equalisation
from edgewright.compress.reasons import by_reason
from edgewright.compress.step_run import StepRun
from edgewright.nouns.recipe import CompressionStep, StepOptions


class Options(StepOptions, frozen=True, kw_only=True):
    """`equalise` has only the options of all steps."""


def problem(options: Options, earlier: Sequence[str]) -> str:
    """`CompressionStep.problem`."""
    if options.epochs:
        return "it does not train: leave `epochs` out"
    if "cluster" in earlier:
        return "it would change the clusters: put `cluster` after it"
    late = [name for name in ("correct-bias", "qat") if name in earlier]
    return f"put it before `{late[0]}`, which fits the network to the ranges that it has" if late else ""


def begin(run: StepRun, options: Options) -> list[str]:  # noqa: ARG001 - one signature for all
    """`CompressionStep.begin`."""
    found = equalisation.equalise(run.network, run.inputs)
    notes = by_reason("output channels not equalised", found.left)
    return notes if found.layers else ["nothing could be equalised", *notes]


STEP = CompressionStep(
    name="equalise",
    title="evens out the ranges of channels",
    options=Options,
    shown=lambda _: "equalise",
    begin=begin,
    problem=problem,
)
