"""Finds slices that an artifact returns in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SAME = 0.25  # share of the source's changes in a slice: the other slice differs by less than this


def swapped(reference: Array, output: Array, axis: int, lost: Sequence[int]) -> dict[int, int]:
    """The lost slices that are at another index in the artifact: the source's index -> the artifact's.

    Args:
        reference, output: shape (goldens, *spec.shape).
        axis: an axis of the output's shape.
    """
    import numpy as np

    if not lost:
        return {}
    answered = _rows(output, axis, range(output.shape[axis + 1]))
    found = {}
    for index, row in zip(lost, _rows(reference, axis, lost), strict=True):
        away = np.square(answered - row).sum(axis=1)
        best = int(np.argmin(away))
        changes = float(
            np.square(row.reshape(len(reference), -1) - row.reshape(len(reference), -1).mean(axis=0)).sum()
        )
        if best != index and away[best] < _SAME * changes:
            found[index] = best
    return found


def _rows(values: Array, axis: int, indexes: Sequence[int]) -> Array:
    """One row per slice: all of its values, with the goldens outermost."""
    import numpy as np

    found: Array = np.moveaxis(values.take(list(indexes), axis=axis + 1), axis + 1, 0).reshape(
        len(indexes), -1
    )
    return found
