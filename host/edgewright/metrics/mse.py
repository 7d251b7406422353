"""Mean squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.metrics.shared.errors import errors
from edgewright.metrics.shared.labels import values
from edgewright.nouns.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def score(outputs: Array, labels: Array) -> Array:
    """Mean squared error of each sample."""
    found: Array = errors(outputs, labels).__pow__(2).mean(axis=1)
    return found


METRIC = Metric(
    name="mse",
    title="mean squared error",
    score=score,
    fit=values,
    higher_is_better=False,
    share=False,
)
