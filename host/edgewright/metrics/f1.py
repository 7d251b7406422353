"""F1, the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.metrics.shared.labels import class_rows
from edgewright.nouns.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


THRESHOLD = 0.5  # a score from here on means yes
SLACK = 0.01  # how far quantised scores may be outside 0..1


def score(outputs: Array, labels: Array) -> float:
    """F1 of a single score, with 0.5 and more as yes; else the mean F1 of the classes or labels that occur."""
    import numpy as np

    flat = outputs.reshape(len(outputs), -1)
    if labels.ndim == 1 and flat.shape[1] > 1:
        said, width = flat.argmax(axis=1), flat.shape[1]
        right = np.bincount(labels[said == labels], minlength=width)
        either = np.bincount(labels, minlength=width) + np.bincount(said, minlength=width)
        occurs = either > 0
        return float((2 * right[occurs] / either[occurs]).mean())
    if flat.size and (flat.min() < -SLACK or flat.max() > 1 + SLACK):
        raise DataError(f"f1 wants scores between 0 and 1, the model answers {flat.min():.3g} to {flat.max():.3g}",
                        hint="end the model in a sigmoid, or use auc or a metric of your own")  # fmt: skip
    yes, true = flat >= THRESHOLD, labels.reshape(len(labels), -1) == 1
    either = yes.sum(axis=0) + true.sum(axis=0)
    occurs = either > 0
    right = (yes & true).sum(axis=0)
    return float((2 * right[occurs] / either[occurs]).mean()) if occurs.any() else 0.0


METRIC = Metric(
    name="f1",
    title="F1: of the one score (from 0.5 on), else the mean over classes or labels",
    score=score,
    fit=class_rows,
    classes=True,
)
