"""Slices: every index of an output's axes. A slice is lost where the artifact's error is larger than all that the source changes in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.verdict.figures import decibel, plain, raised
from edgewright.compile.verdict.sums import Sums, along
from edgewright.nouns.verdict import MAX_SLICES, Slice, SliceLimits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LONGEST = 1000  # an axis of more indexes has places, not meanings
FLOORS = 4  # a slice is tested where it changes by more than this many floors
_SUM = 1e-3  # a distribution's values sum to 1 but for this


class Slices(NamedTuple):
    """All slices along one axis; arrays with a value an index.

    Attributes:
        signal: sum of (ref - mean of ref)^2. noise: sum of (out - ref)^2. floor: what rounding alone may be of it.
    """

    axis: int
    signal: Array
    noise: Array
    floor: Array

    @property
    def tested(self) -> Array:
        """Which of them change enough to be judged."""
        found: Array = self.signal > FLOORS * self.floor
        return found

    @property
    def lost(self) -> list[int]:
        """Those whose error is larger than what they change."""
        import numpy as np

        return [int(index) for index in np.flatnonzero(self.tested & (self.noise >= self.signal))]

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
        """What a board must keep: twice the error that was seen here, and never more than what is judged as lost here."""
        import numpy as np

        if not self.tested.any():
            return None
        most = np.maximum(self.signal, 2 * self.noise + self.floor)
        noise = tuple(
            raised(value) if judged else None
            for value, judged in zip(most.tolist(), self.tested.tolist(), strict=True)
        )
        return SliceLimits(axis=self.axis, noise=noise)


def slices(sums: Sums, floor: Array, axis: int) -> Slices:
    """The slices along an axis.

    Args:
        floor: at every position, what rounding alone may be of the sums.
    """
    return Slices(axis, along(sums.signal, axis), along(sums.noise, axis), along(floor, axis))


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
    """Whether its values are chances that sum to 1 along an axis: one unit then, rare classes are no parts of it."""
    import numpy as np

    values = np.where(counts, reference, 0.0)
    if not (values >= 0).all():
        return False
    sums, whole = values.sum(axis=axis), counts.all(axis=axis)
    return bool(whole.any() and (np.abs(sums[whole] - 1) <= _SUM).all())
