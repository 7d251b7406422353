"""How much larger a board's error may be than the host's: kernels of one runtime round differently.

docs/accuracy.md ("Boards") explains the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.quality.verdict.limits import Rule
from edgewright.compile.quality.verdict.slices import Slices
from edgewright.compile.quality.verdict.sums import along

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TIMES = 4.0  # times the host's error power: twice its error, all of the same sign
_TIMES_OF_SLICE = 8.0  # fewer values, which differ more by chance
_STEPS = 1 / 6 + 1  # squares of a step at each value: every value may land on the adjacent step
_ROUNDED = 2.0**-11  # share of a value: the most by which 16-bit floats change it
_FAINT = 10**-3.5  # share of the source's changes: the error that 16-bit floats may add on the way (35 dB)
_FAINT_OF_SLICE = 10**-3.0
_CUT_OFF = 10**-1.6  # the same if some CPUs saturate sums of 8-bit products (16 dB)


class Near(NamedTuple):
    """How much larger than the host's error a board's error may be, by the number format that it computes in.

    Attributes:
        rule: the host's. halved: the mean squared error of rounding to 16-bit floats, at each place, summed over the goldens.
        floor: the squared error that adjacent steps and 16-bit floats may cause, at each place, summed over the goldens.
    """

    rule: Rule
    floor: Array
    halved: Array

    def whole(self, noise: float, signal: float) -> float:
        """The greatest noise of a whole output, from the noise on the host; infinite if the rule has no such limit."""
        if not self.rule.near:
            return float("inf")
        faint = _CUT_OFF if self.rule.sums_vary else _FAINT
        return TIMES * noise + float(self.floor.sum()) + faint * signal

    def following(self, most: float) -> float:
        """The greatest noise with which an output still follows on a board: at least the noise that 16-bit floats add."""
        return max(most, float(self.halved.sum())) if self.rule.near else most

    def slices(self, part: Slices) -> Array | float:
        """The same for the slices along an axis: an error in one slice here may be in another slice there.

        Also infinite if sums saturate, since that affects some slices more than others.
        """
        import numpy as np

        if not self.rule.near or self.rule.sums_vary:
            return float("inf")
        usual = part.signal * (part.noise.sum() / max(part.signal.sum(), np.finfo(float).tiny))
        found: Array = _TIMES_OF_SLICE * np.maximum(part.noise, usual)
        found += along(self.floor, part.axis) + _FAINT_OF_SLICE * part.signal
        return found


def near(sizes: Array, step: Array, count: Array, rule: Rule) -> Near:
    """Limits near the host's error.

    Args:
        sizes: the greatest absolute reference at each place. step: the artifact's, at each place. count: number of values.
    """
    import numpy as np

    each = _STEPS * np.square(step) + (max(rule.rounding, _ROUNDED) * sizes) ** 2
    return Near(rule, each * count, np.square(_ROUNDED * sizes) / 3 * count)
