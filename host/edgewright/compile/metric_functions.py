"""The metrics themselves: pure functions of outputs and labels, as `metrics` describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Array = np.ndarray[Any, Any]

THRESHOLD = 0.5  # from which a score means yes
SLACK = 0.01  # how far quantised scores may lie outside 0..1


def top1(ranked: Array, labels: Array) -> Array:
    """1 where the label is the greatest output."""
    found: Array = (ranked[:, 0] == labels).astype(float)
    return found


def top5(ranked: Array, labels: Array) -> Array:
    """1 where the label is among the five greatest outputs."""
    found: Array = (ranked == labels[:, None]).any(axis=1).astype(float)
    return found


def mse(outputs: Array, labels: Array) -> Array:
    """Mean squared error of each sample."""
    found: Array = _errors(outputs, labels).__pow__(2).mean(axis=1)
    return found


def mae(outputs: Array, labels: Array) -> Array:
    """Mean absolute error of each sample."""
    found: Array = abs(_errors(outputs, labels)).mean(axis=1)
    return found


def _errors(outputs: Array, labels: Array) -> Array:
    found: Array = outputs.reshape(len(outputs), -1).astype(float) - labels.astype(float)
    return found


def f1(outputs: Array, labels: Array) -> float:
    """F1 of the one score, from 0.5 on; else the mean of the F1 of each class or label that occurs."""
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


def auc(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve; of several classes each against the rest, the mean of those that occur. NaN: undefined."""
    import numpy as np

    flat = outputs.reshape(len(outputs), -1).astype(float)
    if labels.ndim == 2:
        return float(
            np.mean([_area(flat[:, index], labels[:, index] == 1) for index in range(flat.shape[1])])
        )
    if flat.shape[1] <= 2:
        return _area(flat[:, -1] - (flat[:, 0] if flat.shape[1] == 2 else 0), labels == 1)
    return float(np.mean([_area(flat[:, one], labels == one) for one in np.unique(labels)]))


def _area(scores: Array, positive: Array) -> float:
    """Mann and Whitney's: how often a positive sample has the greater score; ties count half. NaN without both kinds."""
    import numpy as np

    yes = int(positive.sum())
    no = len(positive) - yes
    if not yes or not no:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # mean rank of equal scores
    return float((middle[place][positive].sum() - yes * (yes + 1) / 2) / (yes * no))


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "top1": top1, "top5": top5, "f1": f1, "auc": auc, "mse": mse, "mae": mae,
}  # fmt: skip
