"""The forms of labels that metrics take, checked against the output that they are compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.listing import cut

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def classes(spec: TensorSpec) -> int:
    """The number of values per sample in an output."""
    return math.prod(spec.shape[1:])


def class_ids(labels: Array, spec: TensorSpec, count: int) -> Array:
    """Labels as class ids, int64 of shape (n,), each below `count`; accepts one-hot rows too."""
    import numpy as np

    found = labels
    if found.ndim == 2 and found.shape[1] > 1:
        if not _is_one_hot(found):
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


def _is_one_hot(labels: Array) -> bool:
    import numpy as np

    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def values(labels: Array, spec: TensorSpec) -> Array:
    """Numbers, one row per sample, as many as the output has."""
    width, want = math.prod(labels.shape[1:]), classes(spec)
    if width != want:
        raise DataError(f"labels have {width} values a sample, output {cut(spec.name)} has {want}",
                        hint="give labels of the output's shape, or a metric of class ids: top1, f1")  # fmt: skip
    return labels.reshape(len(labels), -1)


def class_rows(labels: Array, spec: TensorSpec) -> Array:
    """Class ids (n,) for several classes; 0 or 1 (n,) for a single score; 0 or 1 (n, k) if a sample may have several."""
    count = classes(spec)
    several = labels.ndim == 2 and labels.shape[1] > 1 and not _is_one_hot(labels)
    if not several:
        return class_ids(labels, spec, max(count, 2))
    import numpy as np

    if not np.isin(labels, (0, 1)).all():
        raise DataError("labels are neither class ids nor rows of 0 and 1", hint="for figures use mse or mae")
    return values(labels, spec).astype(np.int64)
