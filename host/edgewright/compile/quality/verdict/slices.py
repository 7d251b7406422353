"""Slices: every index of an output's axes. A slice is lost where the error exceeds all that the source changes in it."""

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

LONGEST = 1000  # an axis of more indexes has places, not meanings
_TELLING = 8  # indexes that an axis has at least before its neighbours tell what it is
_ALIKE = 0.7  # neighbours correlate by so much where an axis is one of places or times
_QUIET = 1 / 4  # of the usual square: what is less along such an axis is a quiet place, such as a border
_JUMP = 16  # times the square of a neighbour: another quantity begins there
_CLASSES = 100  # indexes from which on an axis is one of many classes, some of which hardly ever change
_LEAST_RUN = 4  # indexes that a quantity has at least
FLOORS = 4  # a slice is tested where it changes by more than this many floors
_SUM = 1e-3  # a distribution's values sum to 1 but for this


class Slices(NamedTuple):
    """All slices along one axis; arrays with a value an index.

    Attributes:
        signal: sum of (ref - mean of ref)^2. noise: sum of (out - ref)^2. floor: what rounding alone may be of it.
        values: how many. quiet: what a value changes by at least, squared, to be tested; 0 but where indexes are places.
    """

    axis: int
    signal: Array
    noise: Array
    floor: Array
    values: Array
    quiet: Array | float = 0.0

    @property
    def tested(self) -> Array:
        """Which of them change enough to be judged."""
        import numpy as np

        found: Array = self.signal > np.maximum(FLOORS * self.floor, self.quiet * self.values)
        return found

    @property
    def allowed(self) -> Array:
        """What their errors have to stay below: what they change; of one that is not tested what tested ones usually change.

        Infinite where none is tested.
        """
        import numpy as np

        tested = self.tested
        if not tested.any():
            return np.full(tested.shape, np.inf)
        usual = float(np.median(self.signal[tested] / self.values[tested]))
        found: Array = np.where(
            tested, self.signal, np.maximum(FLOORS * self.floor, usual * np.maximum(1.0, self.values))
        )
        return found

    @property
    def lost(self) -> list[int]:
        """Those whose error is larger than they are allowed."""
        import numpy as np

        return [int(index) for index in np.flatnonzero(self.noise >= self.allowed)]

    @property
    def not_covered(self) -> list[tuple[int, int]]:
        """(axis, index) of those that change too little while others of the axis are judged."""
        import numpy as np

        if not self.tested.any():
            return []
        return [(self.axis, int(index)) for index in np.flatnonzero(~self.tested)]

    @property
    def worst(self) -> Slice | None:
        """The judged one with the least signal to noise."""
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

    @property
    def limits(self) -> SliceLimits | None:
        """What a board must keep: what they are allowed, or twice the error that was seen here, as kernels differ."""
        import numpy as np

        if not self.tested.any():
            return None
        most = np.maximum(self.allowed, 2 * self.noise + self.floor)
        return SliceLimits(axis=self.axis, noise=tuple(raised(value) for value in most.tolist()))


def slices(sums: Sums, floor: Array, axis: int, quiet: Array | float = 0.0) -> Slices:
    """The slices along an axis.

    Args:
        floor: at every position, what rounding alone may be of the sums.
    """
    signal, noise, unit, values = (along(part, axis) for part in (sums.signal, sums.noise, floor, sums.count))
    return Slices(axis, signal, noise, unit, values, quiet)


def quiet(reference: Array, sums: Sums, axis: int) -> Array | float:
    """The `Slices.quiet` of an axis: 0 where its indexes are a few quantities of different sizes.

    Of many classes some change less than an artifact's noise on any data at hand: they are tested where they change as others do.

    Rows of a picture, or times, answer almost as their neighbours do; what hardly changes among them is a border, and no loss.
    Scores that follow one another do so too, beside boxes: a jump begins another run, with its own usual square.
    """
    import numpy as np

    signal = along(sums.signal, axis)
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

    A run is a quantity if it is long enough and most of it is of one size. What is not, such as a border that fades, belongs to the
    busier of the quantities beside it.
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


def axes(references: Sequence[Array | None], counts: Sequence[Array]) -> list[list[int]]:
    """For every output the axes that are cut into slices: those with the fewest indexes first, `MAX_SLICES` in all.

    Args:
        references: one an output, behind an axis of samples; None for one without slices.
        counts: of the same shapes: which of them count.
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
        reference = references[output]
        if (
            reference is not None
            and length <= left
            and not _distribution(reference, counts[output], axis + 1)
        ):
            found[output].append(axis)
            left -= length
    return found


def _distribution(reference: Array, counts: Array, axis: int) -> bool:
    """Whether its values are chances that sum to 1 along an axis: one unit then, rare classes are not parts of it."""
    import numpy as np

    values = np.where(counts, reference, 0.0)
    if not (values >= 0).all():
        return False
    sums, whole = values.sum(axis=axis), counts.all(axis=axis)
    return bool(whole.any() and (np.abs(sums[whole] - 1) <= _SUM).all())
