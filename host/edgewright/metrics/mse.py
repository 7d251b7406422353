"""Mean squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.metrics.shared.errors import means
from edgewright.metrics.shared.labels import values
from edgewright.nouns.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def score(outputs: Array, labels: Array) -> Array:
    """Mean squared error of each sample."""
    return means(outputs, labels, lambda found: found**2)


METRIC = Metric(
    name="mse",
    title="mean squared error",
    score=score,
    fit=values,
    higher_is_better=False,
    share=False,
)
