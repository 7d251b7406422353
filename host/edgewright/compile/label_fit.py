"""Checks labels against a metric and a model's outputs, and brings them into the metric's form."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.listing import cut
from edgewright.nouns.metric import RANKS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def classes(spec: TensorSpec) -> int:
    """How many values an output has of one sample."""
    return math.prod(spec.shape[1:])


def check_names(metric: str, names: int, spec: TensorSpec) -> None:
    """Raises DataError when class folders, numbered by their sorted names, are not all the classes of the output."""
    if metric in ("top1", "top5", "f1", "auc") and names != max(classes(spec), 2):
        raise DataError(
            f"{names} class folders but output {cut(spec.name)} has {max(classes(spec), 2)} classes: cannot map folder names to class indexes",
            hint="list all classes in classes.txt, one a line, in the order of the model's outputs",
        )


def _ids(labels: Array, spec: TensorSpec, count: int) -> Array:
    """Labels as class ids, int64 of shape (n,), each below `count`; one-hot rows are taken too."""
    import numpy as np

    found = labels
    if found.ndim == 2 and found.shape[1] > 1:
        if not _one_hot(found):
            raise DataError(
                f"labels are not class ids, they have {found.shape[1]} values a sample",
                hint="give one whole number a sample, or another metric: mse, mae, f1 or auc",
            )
        if found.shape[1] != count:
            raise DataError(
                f"labels are one-hot rows of {found.shape[1]} classes, output {cut(spec.name)} has {count}",
                hint="give rows as long as the output, or class numbers from 0",
            )
        found = found.argmax(axis=1)
    found = found.reshape(len(found), -1)
    if found.shape[1] != 1 or not np.array_equal(found, np.rint(found)):
        shape = f" (their shape is {labels.shape})" if found.shape[1] != 1 else ""
        raise DataError(f"labels are not class ids, they are not one whole number a sample{shape}",
                        hint="give whole numbers, or the metric mse or mae")  # fmt: skip
    found = found[:, 0].astype(np.int64)
    wrong = np.flatnonzero((found < 0) | (found >= count))
    if len(wrong):
        raise DataError(
            f"label of sample {wrong[0]} is class {found[wrong[0]]}, output {cut(spec.name)} has {count} classes",
            hint=f"classes are numbered from 0 to {count - 1}"
            if count > 1
            else "for one score use f1 or auc, for a figure mse",
        )
    return found


def _one_hot(labels: Array) -> bool:
    import numpy as np

    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _fit_ranks(least: int, labels: Array, spec: TensorSpec) -> Array:
    if classes(spec) <= least:
        raise DataError(f"top5 is right whatever the model answers, output {cut(spec.name)} has {classes(spec)} classes",
                        hint="use top1 or f1")  # fmt: skip
    return _ids(labels, spec, classes(spec))


def _fit_values(labels: Array, spec: TensorSpec) -> Array:
    width, want = math.prod(labels.shape[1:]), classes(spec)
    if width != want:
        raise DataError(f"labels have {width} values a sample, output {cut(spec.name)} has {want}",
                        hint="give labels of the output's shape, or a metric of class ids: top1, f1")  # fmt: skip
    return labels.reshape(len(labels), -1)


def _fit_classes(labels: Array, spec: TensorSpec) -> Array:
    """Class ids (n,) for several classes, 0 or 1 (n,) for one score, 0 or 1 (n, k) where a sample may have several."""
    count = classes(spec)
    several = labels.ndim == 2 and labels.shape[1] > 1 and not _one_hot(labels)
    if not several:
        return _ids(labels, spec, max(count, 2))
    import numpy as np

    if not np.isin(labels, (0, 1)).all():
        raise DataError("labels are neither class ids nor rows of 0 and 1", hint="for figures use mse or mae")
    return _fit_values(labels, spec).astype(np.int64)


def _fit_areas(labels: Array, spec: TensorSpec) -> Array:
    """As `_fit_classes`; what has no area under a curve is refused."""
    import numpy as np

    found = _fit_classes(labels, spec)
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


def _fit_one(
    metric: str, fit: Callable[[Array, TensorSpec], Array], labels: Array, spec: TensorSpec
) -> Array:
    """As `fit`; an output of several samples is refused, since there is one label an inference."""
    if spec.shape and spec.shape[0] != 1:
        raise DataError(f"{metric} wants one sample an inference, output {cut(spec.name)} has {spec.shape[0]}",
                        hint="export it with an open batch, or a batch of 1")  # fmt: skip
    return fit(labels, spec)


_FITS: dict[str, Callable[[Array, TensorSpec], Array]] = {
    "top1": partial(_fit_ranks, 0), "top5": partial(_fit_ranks, RANKS), "f1": _fit_classes, "auc": _fit_areas,
    "mse": _fit_values, "mae": _fit_values,
}  # fmt: skip
FITS = {metric: partial(_fit_one, metric, fit) for metric, fit in _FITS.items()}
