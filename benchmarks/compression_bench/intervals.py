"""Means with 95 % intervals, over seeds and over test samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

# Student's t at 97.5 %, by degrees of freedom
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_NORMAL = 1.960


class Mean(NamedTuple):
    """A mean; low and high are None where there are too few figures for an interval."""

    value: float
    low: float | None
    high: float | None


def over_seeds(values: Sequence[float]) -> Mean:
    """The mean of one figure per seed, with Student's interval: it covers the chance in training, on these test samples."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Mean(mean, None, None)
    half = _T[min(len(values) - 2, len(_T) - 1)] * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Mean(mean, mean - half, mean + half)


def over_samples(differences: Sequence[Any]) -> Mean:
    """The mean of paired differences, one array over the same test samples per seed. Each sample is averaged over the seeds, and the
    interval is normal over samples: it covers the choice of test samples, with these trained nets."""
    each = np.mean(differences, axis=0)
    half = _NORMAL * float(np.std(each, ddof=1)) / len(each) ** 0.5
    return Mean(float(each.mean()), float(each.mean()) - half, float(each.mean()) + half)
