"""Share of samples whose label is among the five greatest outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.metrics.shared.labels import class_ids, classes
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.listing import cut
from edgewright.nouns.metric import RANKS, TOP, Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def score(ranked: Array, labels: Array) -> Array:
    """1 if the label is among the five greatest outputs, else 0."""
    found: Array = (ranked == labels[:, None]).any(axis=1).astype(float)
    return found


def fit(labels: Array, spec: TensorSpec) -> Array:
    """Class ids for an output with more than five classes."""
    if classes(spec) <= RANKS:
        raise DataError(f"top5 is right whatever the model answers, output {cut(spec.name)} has {classes(spec)} classes",
                        hint="use top1 or f1")  # fmt: skip
    return class_ids(labels, spec, classes(spec))


METRIC = Metric(
    name="top5",
    title="share of samples whose label is among the five greatest outputs",
    score=score,
    fit=fit,
    keep=TOP,
    classes=True,
)
