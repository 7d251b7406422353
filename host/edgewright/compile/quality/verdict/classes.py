"""Class numbers and booleans: outputs whose values are either equal or not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SURE = 0.99
_SMALL = 2  # bytes
_MANY_VALUES = 64
_REPEATED = 0.5  # share of equal neighbours in a map of classes
_MANY = 500  # with more expected unequal values, a normal distribution approximates the binomial one


def are(reference: Array, spec: TensorSpec, step: Array) -> bool:
    """Whether an output holds classes: the source's answers are booleans, or whole numbers that have no scale and are not quantities.

    Quantities are values that the artifact rounds to steps (its file ends in a QuantizeLinear), and bytes or 16-bit numbers with many
    different values that rarely repeat from place to place: a picture, not a map of classes.

    Args:
        step: the step at each place of the output, from `steps.steps`.
    """
    import numpy as np

    scaled = spec.scale is not None and spec.dtype == reference.dtype.name
    if reference.dtype.kind not in "iub" or scaled:
        return False
    if reference.dtype.kind == "b" or reference.dtype.itemsize > _SMALL:
        return True
    if step.any():
        return False
    flat = reference.reshape(len(reference), -1)
    if flat.shape[1] < _MANY_VALUES or np.unique(flat).size < _MANY_VALUES:
        return True
    return bool((flat[:, 1:] == flat[:, :-1]).mean() > _REPEATED)


def most_unequal(count: int, least: float) -> int:
    """How many of `count` values may differ before their equal share is surely below `least`.

    That is: its one-sided 99 % upper bound (Clopper and Pearson) is below; chance alone would give this many differences in less than
    1 % of cases.
    """
    share = 1 - least
    expected = count * share
    if expected > _MANY:
        from statistics import NormalDist

        return math.floor(expected + NormalDist().inv_cdf(_SURE) * math.sqrt(expected * least))
    chance, total, found = math.exp(count * math.log(least)), 0.0, 0
    while found <= count:
        total += chance
        if total > _SURE:
            break
        chance *= (count - found) / (found + 1) * share / least
        found += 1
    return min(found, count)
