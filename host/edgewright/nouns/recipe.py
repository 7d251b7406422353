"""Recipe: the ordered steps that make a network smaller, each with its options and its floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgewright.nouns.base import Noun

Share = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]


class TrainingOptions(Noun, frozen=True, kw_only=True):
    """How the steps of a recipe train. In a step, None takes the recipe's.

    Attributes:
        loss: `auto`, or one of `compression.LOSSES`. `auto`: cross-entropy for class numbers, binary cross-entropy for one output and labels
            of 0 and 1, and the squared error for labels that are not integers. Or a user's function.
        optimiser: one of `compression.OPTIMISERS`, or a user's function.
        rate: learning rate of the first epoch. None: that of the kind of step.
        schedule: how the rate changes: `cosine`, which falls along half a cosine to zero (Loshchilov and Hutter, 2017), `constant`, or a
            user's function, `function(epoch, epochs)`, which returns the factor.
        redraw: call the function of the training data again before each epoch after the first.
        batch: samples a step.
        patience: epochs without a better result on the deciding set after which training stops; 0 for no early end.

    Functions are named `module.py:function`.
    """

    loss: str | None = None
    optimiser: str | None = None
    rate: Positive | None = None
    batch: Annotated[int, Meta(ge=1)] | None = None
    patience: Count | None = None
    schedule: str | None = None
    redraw: bool | None = None

    def over(self, base: TrainingOptions) -> TrainingOptions:
        """These options, and those of `base` where these have none."""
        pairs = ((name, getattr(self, name)) for name in TrainingOptions.__struct_fields__)
        return TrainingOptions(
            **{name: getattr(base, name) if value is None else value for name, value in pairs}
        )


DEFAULT_TRAINING = TrainingOptions(
    loss="auto", optimiser="adam", batch=32, patience=0, schedule="cosine", redraw=False
)  # the rate is the step's


class StepOptions(Noun, frozen=True, kw_only=True):
    """What every step takes besides its own options.

    Attributes:
        epochs: epochs of training in this step.
        floor: least value of the metric on the deciding set after this step (greatest, for an error).
        max_drop: greatest drop from the original there.
    """

    epochs: Count = 0
    floor: float | None = None
    max_drop: float | None = None
    training: TrainingOptions = TrainingOptions()


class RecipeStep(Noun, frozen=True, kw_only=True):
    """One step: the name of a `CompressionStep`, and its options, checked."""

    use: str
    options: StepOptions


class Recipe(Noun, frozen=True, kw_only=True):
    """The steps in order, with what they share."""

    steps: tuple[RecipeStep, ...]
    training: TrainingOptions = DEFAULT_TRAINING
    seed: int = 0


class CompressionStep(Noun, frozen=True, kw_only=True):
    """A kind of step. Its functions run in the worker of the network's framework, with a `compress.step_run.StepRun` first.

    Attributes:
        title: what it does, for people.
        options: the record of its options, a `StepOptions`.
        shown: `shown(options)` returns the step in a few words, such as `channels 50 %`.
        scan: `scan(run, options)` returns the options with what depends on the network, and notes. It is called once, before `begin`.
        begin: `begin(run, options)` changes the network once, before the first epoch. Returns notes.
        epoch: `epoch(run, options, number)` trains for one epoch, numbered from 0, and returns the mean loss. None: it trains with labels.
        settled: `settled(options)` returns the first epoch whose network may be the result; a schedule has to reach its end first.
        problem: `problem(options, earlier)` returns why it cannot follow the steps before it, given by name; empty if it can.
        teacher: `teacher(options)` returns the path of another network that it opens; None if it opens none.
        rate: learning rate of the first epoch if neither the step, the recipe nor the command line gives one.
        cuts_channels: it calls `Network.prune_channels`, which not every framework has.
    """

    name: str
    title: str
    options: type[StepOptions]
    shown: Callable[[Any], str]
    scan: Callable[[Any, Any], tuple[Any, Sequence[str]]] | None = None
    begin: Callable[[Any, Any], Sequence[str]] | None = None
    epoch: Callable[[Any, Any, int], float] | None = None
    settled: Callable[[Any], int] | None = None
    problem: Callable[[Any, Sequence[str]], str] | None = None
    teacher: Callable[[Any], str | None] | None = None
    rate: float = 1e-3
    cuts_channels: bool = False


def plain(options: StepOptions) -> dict[str, Any]:
    """Options as plain values, for hashes, the wire and manifests."""
    found: dict[str, Any] = msgspec.to_builtins(options)
    return found
