"""Values that stand apart: infinities and huge constants, which would dominate any sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_TIMES = 1e4  # beyond this many medians, and this number, a value may stand for infinity
_ROUNDINGS = 4  # of a 32-bit float: such a value is one constant, with numbers of the usual size added to it
_KEPT = 4  # it may become at most this many times smaller
HALF = 65504.0  # the largest 16-bit float: larger values become this one


def limit(reference: Array, counts: Array) -> float | None:
    """References beyond this, or not finite, stand apart; None if there are no such references.

    Values that differ among themselves are quantities, however large: a probability of .999 among many of 1e-9, areas or a pressure
    next to scores.
    """
    import numpy as np

    size = np.abs(reference[counts & np.isfinite(reference)])
    usual = size[size > 0]
    bound = _TIMES * max(1.0, float(np.median(usual)) if usual.size else 1.0)
    huge = size[size > bound]
    if huge.size:
        common = float(usual[usual <= bound].max(initial=0.0))
        rounding = _ROUNDINGS * float(np.finfo(np.float32).eps) * float(huge.max())
        if float(huge.max() - huge.min()) <= common + rounding:
            return bound
    if np.isfinite(reference[counts]).all():
        return None
    return max(bound, 2 * float(huge.max(initial=0.0)))


def away(reference: Array, bound: float | None) -> Array:
    """A mask of the references that stand apart."""
    import numpy as np

    if bound is None:
        return np.zeros(reference.shape, bool)
    found: Array = ~(np.abs(reference) <= bound)
    return found


def unmatched(reference: Array, output: Array) -> int:
    """How many of the references that stand apart have no matching output: NaN for NaN, else the same sign and a similar size."""
    import numpy as np

    least = np.minimum(np.abs(reference), HALF) / _KEPT
    same = (np.sign(reference) == np.sign(output)) & (np.abs(output) >= least)
    return int(np.sum(~np.where(np.isnan(reference), np.isnan(output), same)))
