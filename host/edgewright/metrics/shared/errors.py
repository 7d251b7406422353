"""The error of each answer, for error metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgewright.metrics.shared.parts import parts

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def errors(outputs: Array, labels: Array) -> Array:
    """Differences, of shape (n, values of one sample)."""
    found: Array = outputs.reshape(len(outputs), -1).astype(float) - labels.astype(float)
    return found


def means(outputs: Array, labels: Array, of: Callable[[Array], Array]) -> Array:
    """The mean of each sample's differences, after `of`."""
    import numpy as np

    flat, found = outputs.reshape(len(outputs), -1), np.empty(len(outputs))
    for part in parts(*flat.shape):
        found[part] = of(errors(flat[part], labels[part])).mean(axis=1)
    return found
