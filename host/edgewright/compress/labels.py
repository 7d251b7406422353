"""Which loss fits labels, and the labels in the form that it takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def loss_for(labels: Array, output: tuple[int, ...]) -> str:
    """The loss that fits labels: one of `compression.LOSSES`.

    Class numbers, one a sample or one a position, and rows with a single 1 stand for cross-entropy; other labels of 0 and 1 for binary
    cross-entropy; all others for the squared error.

    Args:
        labels: shape (n, ...).
        output: shape of one sample's first output; its last axis is that of the classes.
    """
    import numpy as np

    given = _squeezed(labels, output)
    yes_or_no = bool(np.isin(given, (0, 1)).all())
    if math.prod(output) == 1:
        return "binary_cross_entropy" if yes_or_no else "mse"
    if given.dtype.kind in "iu" and given.shape[1:] == output[:-1]:
        return "cross_entropy"
    if yes_or_no and given.shape[1:] == output:
        return "cross_entropy" if (given.sum(axis=-1) == 1).all() else "binary_cross_entropy"
    return "mse"


def loss_of(output: Array, *, probabilities: bool) -> str:
    """The loss in whose form outputs are compared with a teacher's, if no labels say what they stand for: `mse` for logits and figures.

    Args:
        output: a network's first output, shape (n, ...).
        probabilities: whether it is that of a softmax or sigmoid.
    """
    import numpy as np

    if not probabilities:
        return "mse"
    several = output.ndim > 1 and output.shape[-1] > 1
    return (
        "cross_entropy" if several and np.allclose(output.sum(-1), 1, atol=1e-3) else "binary_cross_entropy"
    )


def fitted(labels: Array, loss: str, output: tuple[int, ...]) -> Array:
    """Labels as a loss takes them: class numbers for cross-entropy, shape (n, *output[:-1]); all others as they are, without axes of 1."""
    given = _squeezed(labels, output)
    if loss == "cross_entropy" and given.shape[1:] == output and output:
        found: Array = given.argmax(axis=-1)
        return found
    return given


def plain(labels: Array) -> Array:
    """Labels as a user's loss takes them: as in the data, whole numbers as int64, all others as float32."""
    found: Array = labels.astype("int64" if labels.dtype.kind in "iub" else "float32")
    return found


def _squeezed(labels: Array, output: tuple[int, ...]) -> Array:
    """Labels of shape (n, 1) as (n,), unless the output has that shape too."""
    if labels.ndim > 1 and math.prod(labels.shape[1:]) == 1 and labels.shape[1:] != output:
        return labels.reshape(len(labels))
    return labels
