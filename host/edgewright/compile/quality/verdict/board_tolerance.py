"""How much larger than the host's error a board's may be: kernels of one runtime round differently.

Why these figures: docs/accuracy.md, "Boards".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.compile.quality.verdict.limits import Rule

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TIMES = 4.0  # the host's error power: twice its error, all of the same sign
_STEPS = 1 / 6 + 1  # squares of a step at each value: every one may fall on the step beside it
_ROUNDED = 2.0**-11  # of a value, at most: what becomes of it in 16-bit floats
_FAINT = 10**-3.5  # of what the source changes: what 16-bit floats may err by on the way (35 dB)


def limit(noise: float, signal: float, sizes: Array, step: Array, count: Array, rule: Rule) -> float:
    """The greatest noise of a whole output on a board, from the noise that the host saw; infinite where the rule has no such limit.

    Args:
        noise, signal: sums over the goldens, as in `Sums`.
        sizes: the greatest absolute reference at each place. step: the artifact's there. count: how many values.
    """
    import numpy as np

    if not rule.near:
        return float("inf")
    floor = _STEPS * np.square(step) + (max(rule.rounding, _ROUNDED) * sizes) ** 2
    return TIMES * noise + float((floor * count).sum()) + _FAINT * signal
