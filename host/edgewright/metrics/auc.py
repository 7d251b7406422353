"""Area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.metrics.shared.labels import class_rows
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def score(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve; with several classes, the mean over those that occur, each against the rest. NaN if undefined."""
    import numpy as np

    flat = outputs.reshape(len(outputs), -1)

    def column(index: int) -> Array:  # one at a time: all of them as doubles may fill 512 MiB
        return flat[:, index].astype(float)

    if labels.ndim == 2:
        return float(np.mean([_area(column(index), labels[:, index] == 1) for index in range(flat.shape[1])]))
    if flat.shape[1] <= 2:
        return _area(column(-1) - (column(0) if flat.shape[1] == 2 else 0), labels == 1)
    return float(np.mean([_area(column(one), labels == one) for one in np.unique(labels)]))


def _area(scores: Array, positive: Array) -> float:
    """Mann and Whitney's statistic: how often a positive sample has the greater score; ties count half. NaN without both kinds."""
    import numpy as np

    yes = int(positive.sum())
    no = len(positive) - yes
    if not yes or not no:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # mean rank of equal scores
    return float((middle[place][positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def fit(labels: Array, spec: TensorSpec) -> Array:
    """As `labels.class_rows`; refuses labels without an area under a curve."""
    import numpy as np

    found = class_rows(labels, spec)
    undefined = "auc is not defined for these labels"
    if found.ndim == 1:
        if len(np.unique(found)) < 2:
            raise DataError(f"{undefined}, all are of one class", hint="add samples of another class")
        return found
    for index, column in enumerate(found.T):
        if len(np.unique(column)) < 2:
            raise DataError(
                f"{undefined}, label {index} is {column[0]} for every sample",
                hint="add samples that have it, and samples that lack it",
            )
    return found


METRIC = Metric(
    name="auc",
    title="area under the ROC curve; the mean over classes or labels where there are several",
    score=score,
    fit=fit,
    classes=True,
    undefined="auc needs samples of two classes at least, and both values of every label",
)
