"""Chooses the output that an evaluation set scores: the named one, else the only one that the labels fit."""

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
    """A scorer that looks at one output, or at all where the user's own metric takes all; the labels in the form that it takes.

    Attributes:
        note: what to tell the user of a choice that is not theirs; empty where there was none.
    """

    scorer: Scorer
    labels: Array
    note: str = ""


def choose(
    scorer: Scorer, labels: Array, outputs: Sequence[TensorSpec], score: str | None, *, names: int = 0
) -> Scored:
    """The output to score.

    Args:
        labels: as the set has them. names: as of an `EvaluationSet`.
        score: name or index of an output, None where the user named none.

    Raises:
        UsageError: no output has that name, or several could be meant.
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
    """The output that an artifact was scored by when it was made.

    Raises:
        DataError: the labels do not fit it.
    """
    if known.output is None:
        return Scored(scorer, scorer.labels(labels, outputs, names=names))
    return at(scorer, labels, outputs, known.output, names=names)


def at(scorer: Scorer, labels: Array, outputs: Sequence[TensorSpec], index: int, *, names: int = 0) -> Scored:
    """The output of an index. Raises DataError where there is none, or the labels do not fit it."""
    if index >= len(outputs):
        raise DataError(f"there is no output {index} to score, the model has {len(outputs)}")
    own = scorer.metric.own
    one = scorer.of_output(index) if len(outputs) > 1 and (own or index) else scorer
    return Scored(one, one.labels(labels, outputs[index : index + 1], names=names))


def named(score: str, outputs: Sequence[TensorSpec]) -> int:
    """The index of an output by its name, or by its number.

    Raises:
        UsageError: there is none.
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
