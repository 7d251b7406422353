"""What steps that learn from a teacher share: their options, and an epoch of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from edgewright.compress.layer_names import check_known
from edgewright.compress.network import Network
from edgewright.compress.step_run import StepRun
from edgewright.errors import Code, UsageError
from edgewright.nouns.compression import Hint
from edgewright.nouns.recipe import Positive, StepOptions


class DistillationOptions(StepOptions, frozen=True, kw_only=True):
    """Options of steps that learn from a teacher.

    Attributes:
        teacher: model file of the teacher, of the same framework; none: the network as it was before the recipe.
        temperature: of the first epoch; it changes evenly to `last_temperature`, if that is given.
        soft: share of the teacher in the loss; the rest is the loss on the labels.
        hints: layers that learn from the teacher's: names that both networks have, or `layer=layer of the teacher`.
        hint_weight: factor of their term, which is added to the loss; see `Network.train`. Chosen on digits, with 50 to 75 % of the
            channels pruned or narrowed, 3 hints and 4 to 6 seeds: in ten trials the term raised the mean accuracy by 0.1 to 1.1 points at
            10, and cost at most 0.2 points at 1 to 100. Attention transfer won as much at 1 to 3, but lost up to 23 points at 100.
    """

    teacher: str | None = None
    temperature: Positive = 4.0
    last_temperature: Positive | None = None
    soft: Annotated[float, Meta(ge=0, le=1)] = 0.0
    hints: tuple[str, ...] = ()
    hint_weight: Positive = 10.0


def train(run: StepRun, options: DistillationOptions, number: int) -> float:
    """Trains for an epoch with the teacher; returns the mean loss."""
    return run.train(
        options,
        number,
        teacher=run.teacher(options.teacher),
        temperature=_temperature(options, number),
        soft=options.soft,
        hints=hints_of(options.hints),
        hint_weight=options.hint_weight,
    )


def _temperature(options: DistillationOptions, number: int) -> float:
    first, last = options.temperature, options.last_temperature
    end = first if last is None else last
    return first + (end - first) * number / max(1, options.epochs - 1)


def hints_of(texts: Sequence[str]) -> tuple[Hint, ...]:
    """Hints from their texts."""
    pairs = [text.partition("=") for text in texts]
    return tuple(Hint(student=student, teacher=teacher or student) for student, _, teacher in pairs)


def problem(options: DistillationOptions, earlier: Sequence[str]) -> str:
    """Why a step with these options cannot follow the steps before it; empty if it can."""
    if "cluster" in earlier:
        return "training would undo the clusters: put `cluster` after it"
    wrong = [text for text in options.hints if text.count("=") > 1 or not all(text.split("="))]
    return f"a hint is neither a layer nor layer=layer of the teacher: {wrong[0]!r}" if wrong else ""


def check_hints(hints: Sequence[Hint], network: Network, teacher: Network) -> None:
    """Raises UsageError if a network does not have its layer, or the layer's output cannot be compared."""
    for who, one, names in (
        ("network", network, [hint.student for hint in hints]),
        ("teacher", teacher, [hint.teacher for hint in hints]),
    ):
        known = one.inner_layers()
        check_known(names, known, "hints", who)
        for name in names:
            if known[name]:
                raise UsageError(
                    f"`hints`: layer {name} of the {who} cannot be compared: {known[name]}",
                    hint="name a layer before or after it",
                    code=Code.RECIPE,
                )
