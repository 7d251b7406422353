"""Slices: every index of an output's axes. A slice is lost if its error is too large for the changes of the source's values in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.quality.verdict.decibels import decibel, plain, raised
from edgewright.compile.quality.verdict.sums import Sums, along
from edgewright.nouns.verdict import MAX_SLICES, Slice, SliceLimits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LONGEST = 1000  # the indexes of a longer axis are places, not meanings
_TELLING = 8  # with fewer indexes, neighbours do not show what an axis is
_ALIKE = 0.7  # the least correlation of neighbours along an axis of places or times
_QUIET = 1 / 4  # share of the usual square: a place of such an axis with less is quiet, such as a border
_JUMP = 16  # times the square of a neighbour: there, another quantity begins
_CLASSES = 100  # an axis with this many indexes has many classes, some of which hardly ever change
_LEAST_RUN = 4  # the least number of indexes of a quantity
FLOORS = 4  # a slice is tested if it changes by more than this many floors
_SUM = 1e-3  # how far a distribution's sum may be from 1


class Slices(NamedTuple):
    """All slices along one axis, as arrays with one value per index.

    Attributes:
        signal: sum of (ref - mean of ref)^2. noise: sum of (out - ref)^2. floor: how much of the noise rounding alone may cause.
        least: the least ratio of signal to error of a slice that follows. values: number of values. quiet: the least squared change of
            a value in a tested slice; 0 unless indexes are places.
    """

    axis: int
    signal: Array
    noise: Array
    floor: Array
    values: Array
    quiet: Array | float = 0.0
    least: float = 1.0

    @property
    def tested(self) -> Array:
        """A mask of the slices that change enough to be judged."""
        import numpy as np

        found: Array = self.signal > np.maximum(FLOORS * self.floor, self.quiet * self.values)
        return found

    @property
    def allowed(self) -> Array:
        """What each slice's error has to stay below: its changes or, if it is not tested, the usual changes of tested slices.

        Infinite if no slice is tested.
        """
        import numpy as np

        tested = self.tested
        if not tested.any():
            return np.full(tested.shape, np.inf)
        usual = float(np.median(self.signal[tested] / self.values[tested]))
        found: Array = np.where(
            tested,
            self.signal / self.least + (self.floor if self.least > 1 else 0.0),
            np.maximum(FLOORS * self.floor, usual * np.maximum(1.0, self.values)),
        )
        return found

    @property
    def lost(self) -> list[int]:
        """The indexes of the slices whose error is larger than allowed."""
        import numpy as np

        return [int(index) for index in np.flatnonzero(self.noise >= self.allowed)]

    @property
    def not_covered(self) -> list[tuple[int, int]]:
        """(axis, index) of the slices that change too little to be judged while others of the axis are judged."""
        import numpy as np

        if not self.tested.any():
            return []
        return [(self.axis, int(index)) for index in np.flatnonzero(~self.tested)]

    @property
    def worst(self) -> Slice | None:
        """The judged slice with the least signal to noise."""
        found = [
            (decibel(signal, noise), index)
            for index, (signal, noise, judged) in enumerate(
                zip(self.signal.tolist(), self.noise.tolist(), self.tested.tolist(), strict=True)
            )
            if judged
        ]
        if not found:
            return None
        sqnr_db, index = min(found)
        return Slice(axis=self.axis, index=index, sqnr_db=plain(sqnr_db))

    def limits(self, near: Array | float) -> SliceLimits | None:
        """The limits for a board: the allowed errors, or twice the error seen here, since kernels differ.

        Args:
            near: the greatest noise that is still near the error seen here.
        """
        import numpy as np

        if not self.tested.any():
            return None
        most = np.minimum(np.maximum(self.allowed, 2 * self.noise + self.floor), np.maximum(near, self.floor))
        return SliceLimits(axis=self.axis, noise=tuple(raised(value) for value in most.tolist()))


def slices(sums: Sums, floor: Array, axis: int, quiet: Array | float = 0.0, least_db: float = 0.0) -> Slices:
    """The slices along an axis.

    Args:
        floor: how much of the sums rounding alone may cause, at every position. least_db: the least signal to error of a slice that
            follows; ignored if there are many slices, since some are then far below the others.
    """
    signal, noise, unit, values = (along(part, axis) for part in (sums.signal, sums.noise, floor, sums.count))
    least = 1.0 if len(signal) >= _CLASSES else 10 ** (least_db / 10)
    return Slices(axis, signal, noise, unit, values, quiet, least)


def quiet(reference: Array, sums: Sums, axis: int, *, chances: bool = False) -> Array | float:
    """The `Slices.quiet` of an axis: 0 if its indexes are a few quantities of different sizes.

    Of many classes, some change less than an artifact's noise on any data at hand: a class is tested only if it changes as others do.

    Rows of a picture, or points in time, have almost the same values as their neighbours; one that hardly changes is a border, not a loss.
    So do adjacent scores next to boxes: a jump begins another run, with its own usual square.

    Args:
        chances: the values sum to 1 along the axis: a class that is hardly ever likely is no part of the output's meaning.
    """
    import numpy as np

    signal = along(sums.signal, axis)
    if chances:
        return _QUIET * float(signal.sum() / max(1.0, sums.count.sum()))
    if len(signal) < _TELLING:
        return 0.0
    together: Array = np.zeros(len(signal) - 1)
    for row in reference:
        away = np.moveaxis(row - sums.mean, axis, 0).reshape(len(signal), -1)
        together += np.einsum("ij,ij->i", away[1:], away[:-1])
    both = np.sqrt(signal[1:] * signal[:-1])
    each = signal / np.maximum(1.0, along(sums.count, axis))
    if not both.any() or np.median(together[both > 0] / both[both > 0]) < _ALIKE:
        return _QUIET * float(np.median(each)) if len(each) >= _CLASSES else 0.0
    return _QUIET * _usual(each)


def _usual(squares: Array) -> Array:
    """The usual square of the quantity that each index belongs to: the mean of a run without a jump.

    A run is a quantity if it is long enough and most of it is of one size. Any other run, such as a border that fades, belongs to
    the busier of the adjacent quantities.
    """
    import numpy as np

    high, low = np.maximum(squares[1:], squares[:-1]), np.minimum(squares[1:], squares[:-1])
    edges = [0, *(np.flatnonzero(high > _JUMP * low) + 1).tolist(), len(squares)]
    found = np.full(len(squares), np.nan)
    for start, end in pairwise(edges):
        run = squares[start:end]
        if len(run) >= _LEAST_RUN and np.median(run) > run.max() / _JUMP:
            found[start:end] = run.mean()
    known = np.flatnonzero(~np.isnan(found))
    if not known.size:
        return np.full(len(squares), squares.mean())
    for index in np.flatnonzero(np.isnan(found)):
        after = np.searchsorted(known, index)
        beside = known[max(0, after - 1) : after + 1]
        found[index] = found[beside].max()
    return found


def axes(references: Sequence[Array | None]) -> list[list[int]]:
    """For every output, the axes that are cut into slices: those with the fewest indexes first, at most `MAX_SLICES` slices in total.

    Args:
        references: one per output, with a leading axis of samples; None for an output without slices.
    """
    found: list[list[int]] = [[] for _ in references]
    ranked = sorted(
        (length, output, axis)
        for output, reference in enumerate(references)
        for axis, length in enumerate(() if reference is None else reference.shape[1:])
        if 2 <= length <= LONGEST
    )
    left = MAX_SLICES
    for length, output, axis in ranked:
        if length <= left:
            found[output].append(axis)
            left -= length
    return found


def distributions(reference: Array, counts: Array) -> list[int]:
    """The axes along which an output's values are probabilities that sum to 1."""
    return [
        axis
        for axis, length in enumerate(reference.shape[1:])
        if 2 <= length <= LONGEST and _distribution(reference, counts, axis + 1)
    ]


def _distribution(reference: Array, counts: Array, axis: int) -> bool:
    """Whether an output's values are probabilities that sum to 1 along an axis: then they share one unit, and rare classes are not separate parts."""
    import numpy as np

    values = np.where(counts, reference, 0.0)
    if not (values >= 0).all():
        return False
    sums, whole = values.sum(axis=axis), counts.all(axis=axis)
    return bool(whole.any() and (np.abs(sums[whole] - 1) <= _SUM).all())
