"""Values that stand apart: infinities, and the huge constants that stand for them. No sum can hold them beside the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_TIMES = 1e4  # beyond this many medians, and this number, a value may stand for infinity
_ALIKE = 0.01  # where it does, it is one constant: -1e9, with small numbers added to it
_KEPT = 4  # times smaller it may come out of a narrower kind of number


def limit(reference: Array, counts: Array) -> float | None:
    """References beyond this, or not finite, stand apart; None where there are none.

    Values that differ among themselves are quantities, however large: a probability of .999 beside many of 1e-9, areas beside scores.
    """
    import numpy as np

    size = np.abs(reference[counts & np.isfinite(reference)])
    usual = size[size > 0]
    bound = _TIMES * max(1.0, float(np.median(usual)) if usual.size else 1.0)
    huge = size[size > bound]
    if huge.size and huge.min() >= (1 - _ALIKE) * huge.max():
        return bound
    if np.isfinite(reference[counts]).all():
        return None
    return max(bound, 2 * float(huge.max(initial=0.0)))


def away(reference: Array, bound: float | None) -> Array:
    """Which references stand apart, true or false."""
    import numpy as np

    if bound is None:
        return np.zeros(reference.shape, bool)
    found: Array = ~(np.abs(reference) <= bound)
    return found


def unmatched(reference: Array, output: Array, bound: float) -> int:
    """How many of the references that stand apart have no such output: NaN for NaN, else the sign and a size near theirs."""
    import numpy as np

    same = (np.sign(reference) == np.sign(output)) & (np.abs(output) >= bound / _KEPT)
    return int(np.sum(~np.where(np.isnan(reference), np.isnan(output), same)))
