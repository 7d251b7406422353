"""The error of each answer, for metrics that are errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def errors(outputs: Array, labels: Array) -> Array:
    """Differences of shape (n, values of one sample)."""
    found: Array = outputs.reshape(len(outputs), -1).astype(float) - labels.astype(float)
    return found
