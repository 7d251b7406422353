"""Classes: whole numbers that stand for something, and yes or no. They are equal or not; how far apart they are means nothing."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SURE = 0.99
_MANY = 500  # expected unequal values from which on a normal distribution stands for the binomial one


def are(reference: Array, spec: TensorSpec) -> bool:
    """Whether an output holds classes: the source's answers are whole numbers without a scale, or booleans."""
    scaled = spec.scale is not None and spec.dtype == reference.dtype.name
    return reference.dtype.kind in "iub" and not scaled


def most_unequal(count: int, least: float) -> int:
    """How many of `count` values may differ before their equal share is surely below `least`.

    It is below where the one-sided 99 % upper bound of Clopper and Pearson is: chance alone would give so many in less than 1 % of the cases.
    """
    share = 1 - least
    expected = count * share
    if expected > _MANY:
        return math.floor(expected + NormalDist().inv_cdf(_SURE) * math.sqrt(expected * least))
    chance, total, found = math.exp(count * math.log(least)), 0.0, 0
    while found <= count:
        total += chance
        if total > _SURE:
            break
        chance *= (count - found) / (found + 1) * share / least
        found += 1
    return min(found, count)
