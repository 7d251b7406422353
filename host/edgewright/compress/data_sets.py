"""The samples of a compression: for training, for deciding after each step, and for one last look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgewright.compile.data import evaluation_set
from edgewright.compile.data.answers import Answers
from edgewright.compile.data.evaluation_set import EvaluationSet
from edgewright.compile.quality import scored_output, significance
from edgewright.compile.quality.metrics import Scorer
from edgewright.compile.workers.pool import Workers
from edgewright.compress.labels import loss_for
from edgewright.compress.tasks import Opened, Rows
from edgewright.errors import DataError
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

HELD_OUT = 0.1  # share of the training data that decides, if there are no separate data for that
LEAST = 20  # samples of training data, so that a share of them can decide


class Samples(NamedTuple):
    """Samples with their labels in the form that the metric takes.

    Attributes:
        note: says which output is scored, if that was chosen.
    """

    rows: Rows
    scorer: Scorer
    labels: Array
    note: str = ""

    def compared(self, reference: Answers, candidate: Answers) -> Comparison:
        """Compares a network with the original. Raises DataError if an answer is not finite."""
        return significance.compare(self.scorer, reference, candidate, self.labels)

    def value(self, answers: Answers) -> float:
        """The metric of a network's answers."""
        return self.scorer.value(answers, self.labels)


class Sets(NamedTuple):
    """The three sets; None where there are no data.

    Attributes:
        training: rows to train with. deciding: for floors, the best epoch, and the table. test: looked at once, at the end.
        sha256: of the training data. deciding_sha256: of the data that the deciding samples are from.
        loss: that `auto` means for the labels, or without any for the network.
        labelled: whether the training data have labels.
        draw: `draw(epoch)` is a context manager that draws training samples again; None if no function yields them.
    """

    training: Rows | None = None
    deciding: Samples | None = None
    test: Samples | None = None
    sha256: str = ""
    deciding_sha256: str = ""
    loss: str = "mse"
    labelled: bool = False
    draw: Callable[[int], AbstractContextManager[Rows]] | None = None


class Files(NamedTuple):
    """The user's data, and how images are prepared."""

    training: Path | None = None
    deciding: Path | None = None
    test: Path | None = None
    preprocessing: Preprocessing | None = None


def prepare(
    files: Files,
    opened: Opened,
    scorer: Scorer,
    score: str | None,
    seed: int,
    workers: Workers,
    *,
    fresh: bool,
) -> Sets:
    """The sets for a network.

    Args:
        seed: chooses the deciding samples, if they are a part of the training data.
        fresh: run data functions again, once per `workers`.

    Raises:
        DataError: the data cannot be read, or do not fit the network.
    """
    outputs = opened.outputs

    def read(path: Path, *, unlabelled: bool = False) -> EvaluationSet:
        return evaluation_set.prepare(
            path, opened.inputs, files.preprocessing, workers=workers, fresh=fresh, unlabelled=unlabelled
        )

    def scored(path: Path, given: EvaluationSet, rows: Rows) -> Samples:
        try:
            found = scored_output.choose(scorer, given.load_labels(), outputs, score, names=given.names)
        except DataError as error:  # which of the sets it is
            raise DataError(f"{path}: {error.message}", hint=error.hint, code=error.code) from None
        if found.scorer.output:
            raise DataError(
                f"training is by the first output, {outputs[0].name}, and the metric scores {outputs[found.scorer.output].name}",
                hint="make that the network's first output, or give labels for the first one",
            )
        return Samples(rows, found.scorer, found.labels[rows.indexes(given.count)], found.note)

    test = None if files.test is None else read(files.test)
    tested = None if files.test is None or test is None else scored(files.test, test, _all(test))
    decided = None if files.deciding is None else read(files.deciding)
    deciding = (
        None if files.deciding is None or decided is None else scored(files.deciding, decided, _all(decided))
    )
    if files.training is None:
        return Sets(deciding=deciding, test=tested, deciding_sha256="" if decided is None else decided.sha256)
    given = read(files.training, unlabelled=True)
    holds = deciding is None and given.labelled
    if holds and given.count < LEAST:
        raise DataError(
            f"{files.training} has {given.count} samples, too few to train with and to decide by",
            hint=f"give at least {LEAST}, or a separate set with --validation",
        )
    held = round(given.count * HELD_OUT) if holds else 0
    training = Rows(inputs=given.inputs, labels=given.labels, held_out=held, seed=seed)
    if holds:
        deciding = scored(files.training, given, msgspec.structs.replace(training, only_held_out=True))
    decider = given if decided is None else decided
    named = next((one.load_labels() for one in (given, decider) if one.labelled), None)
    loss = opened.loss if named is None else loss_for(named, outputs[0].shape[1:])
    draw = partial(_drawn, files, opened, given.labelled, workers)
    return Sets(training, deciding, tested, given.sha256, decider.sha256, loss, given.labelled, draw)


@contextmanager
def _drawn(files: Files, opened: Opened, labelled: bool, workers: Workers, epoch: int) -> Iterator[Rows]:
    """The training samples of an epoch, from another call of their function. Raises DataError if these are of another kind."""
    path = files.training
    assert path is not None  # noqa: S101 - it yielded the first ones
    with evaluation_set.drawn(
        path, opened.inputs, files.preprocessing, workers=workers, epoch=epoch
    ) as given:
        if given.labelled != labelled:
            now, then = ("labels", "none") if given.labelled else ("no labels", "some")
            raise DataError(
                f"{path} yields {now} for epoch {epoch + 1}, and {then} at first",
                hint="yield the same kind of samples in each call",
            )
        yield Rows(inputs=given.inputs, labels=given.labels)


def _all(given: EvaluationSet) -> Rows:
    return Rows(inputs=given.inputs, labels=given.labels)
