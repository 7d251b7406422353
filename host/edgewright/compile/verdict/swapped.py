"""Slices that answer as others should: columns in another order are the usual cause where a slice is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SURE = 0.9  # correlation from which on a slice is another one's
_CLEAR = 0.3  # by how much it has to be above the slice's own


def swapped(reference: Array, output: Array, axis: int, lost: Sequence[int]) -> dict[int, int]:
    """For slices that are lost: where in the artifact the source's slice is instead, if it is anywhere.

    Args:
        reference, output: of shape (goldens, *spec.shape).
        axis: of the output's shape.
    """
    import numpy as np

    if not lost:
        return {}
    answered = _rows(output, axis, range(output.shape[axis + 1]))
    alike = _rows(reference, axis, lost) @ answered.T
    found = {}
    for row, index in zip(alike, lost, strict=True):
        best = int(np.argmax(row))
        if best != index and row[best] > max(_SURE, row[index] + _CLEAR):
            found[index] = best
    return found


def _rows(values: Array, axis: int, indexes: Sequence[int]) -> Array:
    """A row of length 1 a slice: what it changes by over the goldens."""
    import numpy as np

    taken = np.moveaxis(values.take(list(indexes), axis=axis + 1), axis + 1, 0)
    flat = (taken - taken.mean(axis=1, keepdims=True)).reshape(len(indexes), -1)
    size = np.linalg.norm(flat, axis=1, keepdims=True)
    found: Array = flat / np.where(size == 0, 1.0, size)
    return found
