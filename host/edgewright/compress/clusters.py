"""Clusters of weights: each weight is replaced by the nearest of a few values, which packs well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_ROUNDS = 50


def clustered(rows: Array, count: int) -> Array:
    """Weights with at most `count` distinct values in each row; zeros stay zeros, and zero is then one of the values.

    Lloyd's algorithm in one dimension, from values spread evenly between the least and the greatest weight: that keeps the large ones (Han,
    Mao and Dally, "Deep Compression", 2016). Clusters of sorted weights are slices, so a round takes no more than a search per value.

    Args:
        rows: shape (channels, weights), float32.
        count: at least 2.
    """
    import numpy as np

    found = np.zeros_like(rows)
    for row, made in zip(rows, found, strict=True):
        nonzero = row != 0
        if nonzero.any():
            made[nonzero] = _of_row(row[nonzero], count if nonzero.all() else count - 1)
    return found


def _of_row(weights: Array, count: int) -> Array:
    import numpy as np

    order = np.argsort(weights)
    ascending = weights[order].astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(ascending)])
    values = np.linspace(ascending[0], ascending[-1], count)
    for _ in range(_ROUNDS):
        ends = _ends(ascending, values)
        members = np.diff(ends)
        moved = np.where(members > 0, np.diff(sums[ends]) / np.maximum(members, 1), values)
        if np.array_equal(moved, values):
            break
        values = moved
    made = np.empty_like(weights)
    made[order] = np.repeat(values, np.diff(_ends(ascending, values)))
    return made


def _ends(ascending: Array, values: Array) -> Array:
    """Where the slice of each value begins and ends: shape (count + 1,)."""
    import numpy as np

    between = np.searchsorted(ascending, (values[:-1] + values[1:]) / 2)
    return np.concatenate([[0], between, [len(ascending)]])
