"""Share of samples whose greatest output is at the label's index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.metrics.shared.labels import class_ids, classes
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.metric import TOP, Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def score(ranked: Array, labels: Array) -> Array:
    """1 if the greatest output is at the label's index, else 0."""
    found: Array = (ranked[:, 0] == labels).astype(float)
    return found


def fit(labels: Array, spec: TensorSpec) -> Array:
    """Class ids, each within the output's classes."""
    return class_ids(labels, spec, classes(spec))


METRIC = Metric(
    name="top1",
    title="share of samples whose greatest output is the label's",
    score=score,
    fit=fit,
    keep=TOP,
    classes=True,
)
