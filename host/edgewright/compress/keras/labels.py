"""Whether labels fit what a model gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgewright.compress.training_functions import is_own
from edgewright.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def check(model: Any, labels: Array, loss: str, samples: int) -> None:
    """Raises DataError if `losses.of_labels` cannot take them with the model's first output."""
    if len(labels) != samples:
        raise DataError(f"{len(labels)} labels for {samples} samples", hint="give each sample one label")
    shape = model.outputs[0].shape[1:]
    if None in shape or not samples or is_own(loss):
        return
    per_sample = math.prod(shape[:-1] if loss == "cross_entropy" else shape)
    if labels.size != samples * per_sample:
        raise DataError(
            f"labels have {labels.size // samples} values a sample, {loss} needs {per_sample}",
            hint="give labels that fit the model's first output, or use another loss",
        )
    lowest, highest = (0, shape[-1] - 1) if loss == "cross_entropy" else (0, 1)
    if loss != "mse" and not (lowest <= labels.min() and labels.max() <= highest):
        raise DataError(
            f"labels are {labels.min()} to {labels.max()}, {loss} needs {lowest} to {highest}",
            hint="give labels that fit the model's first output, or use another loss",
        )
