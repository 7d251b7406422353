"""F1, the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.metrics.shared.labels import class_rows
from edgewright.metrics.shared.parts import parts
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
    width = flat.shape[1]
    right, either = np.zeros(width, np.int64), np.zeros(width, np.int64)
    count = of_classes if labels.ndim == 1 and width > 1 else of_scores
    if count is of_scores and flat.size and (flat.min() < -SLACK or flat.max() > 1 + SLACK):
        raise DataError(f"f1 wants scores between 0 and 1, the model answers {flat.min():.3g} to {flat.max():.3g}",
                        hint="end the model in a sigmoid, or use auc or a metric of your own")  # fmt: skip
    for part in parts(len(flat), width):
        both, one = count(flat[part], labels[part])
        right += both
        either += one
    occurs = either > 0
    return float((2 * right[occurs] / either[occurs]).mean()) if occurs.any() else 0.0


def of_classes(flat: Array, labels: Array) -> tuple[Array, Array]:
    """Per class: how often the greatest output and the label agree on it, and how often each names it, summed; (k,) each."""
    import numpy as np

    said, width = flat.argmax(axis=1), flat.shape[1]
    either = np.bincount(labels, minlength=width) + np.bincount(said, minlength=width)
    return np.bincount(labels[said == labels], minlength=width), either


def of_scores(flat: Array, labels: Array) -> tuple[Array, Array]:
    """As `of_classes`, of separate scores and labels of 0 and 1."""
    yes, true = flat >= THRESHOLD, labels.reshape(len(labels), -1) == 1
    return (yes & true).sum(axis=0), yes.sum(axis=0) + true.sum(axis=0)


METRIC = Metric(
    name="f1",
    title="F1: of the one score (from 0.5 on), else the mean over classes or labels",
    score=score,
    fit=class_rows,
    classes=True,
)
