"""Choices: which value of an output is the greatest, for outputs such as class scores, and whether the artifact chooses as the source does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.quality.verdict import classes
from edgewright.compile.quality.verdict.sums import along

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_ONE_SIZE = (
    16  # times the square of the quietest value: values that differ by more do not compete in one choice
)
_CLEAR = 0.05  # share of a value's usual change: a smaller margin is a tie
_CLASSES = 100  # outputs with more values along their only axis are often embeddings, not class scores
_EXPLAINED = 3  # times the usual error of a difference of two values: white noise exceeds that once in 370
_FEW = 4  # a class can be lost only if it has this many samples
_MANY = 32  # samples that are enough for a proof
_NONE_OTHER = 16  # samples that are enough for a proof if all choices are kept
_SURE = 0.01
_LEAST = 0.7  # share of a class's samples: if surely fewer are kept, the class is lost


class Choice(NamedTuple):
    """How an output chooses.

    Attributes:
        axis: of the output's shape.
        margin: a choice with a smaller margin is a tie.
        doubt: the artifact's usual error explains another choice below this margin; 0 if the output is certainly a choice, so
            that every other choice counts.
    """

    axis: int
    margin: float
    doubt: float = 0.0


class Chosen(NamedTuple):
    """The result of comparing the choices.

    Attributes:
        samples: those with a clear choice. other: how many of them have another choice; a sample with several choices counts by its share.
        unexplained: the same, without choices that the usual error explains.
        lost: (class, samples with it, how many of them the artifact chose it for) for each class that it hardly ever chooses.
    """

    samples: int
    other: float
    unexplained: float
    lost: tuple[tuple[int, int, float], ...] = ()

    def refused(self, least: float) -> bool:
        """Whether enough choices differ that the share of equal ones is surely below `least`."""
        return self.unexplained > classes.most_unequal(self.samples, least)

    def proven(self, least: float) -> bool:
        """Whether enough samples show that at least this share is equal."""
        if self.samples < _MANY:
            return self.samples >= _NONE_OTHER and not self.other
        return self.other <= (1 - least) * self.samples and not self.lost


def choice(
    reference: Array, signal: Array, counts: Array, distributions: list[int], error: float = 0.0
) -> Choice | None:
    """How an output chooses; None if, as far as can be known, it does not.

    It chooses along an axis if its values there are probabilities that sum to 1. It may choose along its only axis if all values change
    about as much: boxes next to scores are not a choice. An embedding looks like a choice, but its greatest value means nothing: with
    more than `_CLASSES` values, other choices that noise explains do not count against the artifact.

    Args:
        reference: shape (samples, *output). signal: the source's squared changes at each place. distributions: axes.
        error: the usual error of the artifact's values.
    """
    import numpy as np

    shape = reference.shape[1:]
    axis = distributions[0] if distributions else len(shape) - 1
    if not shape or shape[axis] < 2:
        return None
    each = along(signal, axis)
    usual = float(np.median(each))
    one_size = each.min() * _ONE_SIZE >= usual and each.max() <= _ONE_SIZE * usual
    if not distributions and not (one_size and math.prod(shape) == shape[-1]):
        return None
    changes = float(signal.sum() / max(1, int(counts.sum()))) ** 0.5
    doubt = 0.0 if distributions or shape[axis] <= _CLASSES else _EXPLAINED * 2**0.5 * error
    return Choice(axis, _CLEAR * changes, doubt) if changes else None


class Choices:
    """Counts over samples."""

    def __init__(self, where: Choice, count: int) -> None:
        import numpy as np

        self._where = where
        self._samples, self._other, self._unexplained = 0, 0.0, 0.0
        self._with, self._kept = np.zeros(count, int), np.zeros(count)

    def add(self, reference: Array, output: Array, counts: Array) -> None:
        """Adds the outputs for one sample."""
        import numpy as np

        rows, others, counted = (
            np.moveaxis(array, self._where.axis, -1).reshape(-1, reference.shape[self._where.axis])
            for array in (reference, output, counts)
        )
        two = np.partition(rows, -2, axis=1)
        margin = two[:, -1] - two[:, -2]
        clear = counted.all(axis=1) & (margin > self._where.margin)
        if not clear.any():
            return
        best, chosen = rows[clear].argmax(axis=1), others[clear].argmax(axis=1)
        same, places = chosen == best, np.arange(len(best))
        ahead = rows[clear][places, best] - rows[clear][places, chosen]  # of the artifact's choice
        fine = same | (ahead <= self._where.doubt)
        self._samples += 1
        self._other += float(1 - same.mean())
        self._unexplained += float(1 - fine.mean())
        every, kept = np.bincount(best, minlength=len(self._with)), np.bincount(best, fine, len(self._with))
        self._with += every > 0
        self._kept += kept / np.maximum(1, every)

    @property
    def found(self) -> Chosen:
        """The sums."""
        lost = [
            (index, int(there), float(kept))
            for index, (there, kept) in enumerate(zip(self._with, self._kept, strict=True))
            if there >= _FEW and _surely_below(int(there), float(kept))
        ]
        return Chosen(self._samples, self._other, self._unexplained, tuple(lost))


def _surely_below(there: int, kept: float) -> bool:
    """Whether the true share of kept samples of a class is surely below `_LEAST`: otherwise this few would be kept in less than 1 % of cases."""
    at_most = math.floor(kept)
    chance = sum(math.comb(there, k) * _LEAST**k * (1 - _LEAST) ** (there - k) for k in range(at_most + 1))
    return chance < _SURE
