"""Chooses the output that an evaluation set scores: the named one, or else the only one that fits the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.quality.metrics import Scorer
from edgewright.errors import Code, DataError, UsageError
from edgewright.nouns.artifact import Accuracy, TensorSpec
from edgewright.nouns.listing import cut, listed

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Scored(NamedTuple):
    """A scorer for one output (or for all, if a user's metric takes all), with the labels in the form that it takes.

    Attributes:
        note: tells the user which output was chosen for them; empty if they chose it.
    """

    scorer: Scorer
    labels: Array
    note: str = ""


def choose(
    scorer: Scorer, labels: Array, outputs: Sequence[TensorSpec], score: str | None, *, names: int = 0
) -> Scored:
    """The output to score.

    Args:
        labels: the set's labels.
        names: as in `EvaluationSet`.
        score: name or index of an output; None if the user named none.

    Raises:
        UsageError: no output has that name, or the choice is ambiguous.
        DataError: the labels do not fit.
    """
    if score is not None:
        return at(scorer, labels, outputs, named(score, outputs), names=names)
    if len(outputs) == 1 or scorer.metric.own:
        return Scored(scorer, scorer.labels(labels, outputs, names=names))
    fitting, reasons = [], []
    for index, spec in enumerate(outputs):
        try:
            fitting.append(at(scorer, labels, outputs, index, names=names))
        except DataError as error:
            reasons.append(f"{cut(spec.name)}: {error.message}")
    metric = scorer.metric.name
    if not fitting:
        raise DataError(
            f"labels fit none of the {len(outputs)} outputs by {metric}: {listed(reasons, separator='; ', most=4)}",
            hint="give labels for one of them, another metric, or a metric of your own, which gets all outputs",
        )
    if len(fitting) > 1:
        could = listed([cut(outputs[one.scorer.output or 0].name) for one in fitting])
        raise UsageError(
            f"the model has {len(outputs)} outputs, and the labels fit {len(fitting)} of them by {metric}: {could}",
            hint="name the one to score: --score OUTPUT, or `score` in the project file",
            code=Code.OUTPUT_AMBIGUOUS,
        )
    (found,) = fitting
    name = cut(outputs[found.scorer.output or 0].name)
    return found._replace(
        note=f"{metric} scores output {name}, the only one of {len(outputs)} that the labels fit"
    )


def as_before(
    scorer: Scorer, labels: Array, outputs: Sequence[TensorSpec], known: Accuracy, *, names: int = 0
) -> Scored:
    """The output by which an artifact was scored when it was made.

    Raises:
        DataError: the labels do not fit that output.
    """
    if known.output is None:
        return Scored(scorer, scorer.labels(labels, outputs, names=names))
    return at(scorer, labels, outputs, known.output, names=names)


def at(scorer: Scorer, labels: Array, outputs: Sequence[TensorSpec], index: int, *, names: int = 0) -> Scored:
    """The output with that index. Raises DataError if there is none, or if the labels do not fit it."""
    if index >= len(outputs):
        raise DataError(f"there is no output {index} to score, the model has {len(outputs)}")
    own = scorer.metric.own
    one = scorer.of_output(index) if len(outputs) > 1 and (own or index) else scorer
    return Scored(one, one.labels(labels, outputs[index : index + 1], names=names))


def named(score: str, outputs: Sequence[TensorSpec]) -> int:
    """The index of an output, given by name or by number.

    Raises:
        UsageError: there is no such output.
    """
    names = [spec.name for spec in outputs]
    if score in names:
        return names.index(score)
    if score.isascii() and score.isdecimal() and int(score) < len(names):
        return int(score)
    known = listed([f"{index} {cut(name)}" for index, name in enumerate(names)])
    raise UsageError(
        f"--score names no output: {cut(score)}", hint=f"outputs are {known}", code=Code.NO_SUCH_OUTPUT
    )
