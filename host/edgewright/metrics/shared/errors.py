"""The error of each answer, for error metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


AT_ONCE = 1 << 20  # values whose differences are in memory at once, 8 bytes each


def errors(outputs: Array, labels: Array) -> Array:
    """Differences, of shape (n, values of one sample)."""
    found: Array = outputs.reshape(len(outputs), -1).astype(float) - labels.astype(float)
    return found


def means(outputs: Array, labels: Array, of: Callable[[Array], Array]) -> Array:
    """The mean of each sample's differences, after `of`. A part of the samples at a time: answers may fill 256 MiB."""
    import numpy as np

    flat, found = outputs.reshape(len(outputs), -1), np.empty(len(outputs))
    step = max(1, AT_ONCE // max(1, flat.shape[1]))
    for at in range(0, len(flat), step):
        part = slice(at, at + step)
        found[part] = of(errors(flat[part], labels[part])).mean(axis=1)
    return found
