"""Compares a whole output with its limits: how near it is to the source's output, and how well it follows the source's changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.compile.quality.verdict.limits import Rule
from edgewright.compile.quality.verdict.slices import FLOORS
from edgewright.compile.quality.verdict.sums import Sums

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

EDGE = 1.5  # a few single values may be off by this many times the largest value; boards may exceed the host's largest error by this factor
_BLIND_DB = 15.0  # an error larger than a sixth of the changes hides them, whatever rounding may cause


class Whole:
    """Sums over samples that are compared with the limits on a whole output.

    Args:
        centre: as in `Sums`. most: a value with a larger error strays.
    """

    def __init__(self, centre: Array, most: float) -> None:
        self.sums = Sums(centre)
        self.most = most
        self.power = self.error = self.largest = 0.0
        self.strays = self.values = 0

    def add(self, reference: Array, output: Array, counts: Array) -> None:
        """Adds the outputs for one sample; values that do not count are 0 in both."""
        import numpy as np

        away = np.abs(output - reference)
        self.sums.add(reference, output, counts)
        self.power += float(np.sum(np.square(reference)))
        self.error = max(self.error, float(away.max(initial=0.0)))
        self.largest = max(self.largest, float(np.abs(reference).max(initial=0.0)))
        self.strays += int((away > self.most).sum())
        self.values += int(counts.sum())

    @property
    def noise(self) -> float:
        """The artifact's error, squared."""
        return float(self.sums.noise.sum())

    @property
    def signal(self) -> float:
        """How much the source changes from sample to sample, squared."""
        return float(self.sums.signal.sum())

    def total(self, each: Array) -> float:
        """How much of the noise may be due to rounding, from its squared error at each place."""
        return float((each * self.sums.count).sum())

    def most_error(self, rule: Rule) -> float:
        """The greatest error that a single value may have, since edges of a sharp map fall either way."""
        few = self.strays <= rule.strays * self.values
        if self.most < self.error <= EDGE * self.largest and few:
            return EDGE * self.error
        return self.most

    def most_noise(self, each: Array, rule: Rule) -> float:
        """The greatest noise within the tolerance."""
        return self.power / 10 ** (rule.tolerance.sqnr_db / 10) + self.total(each)

    def moving(self, exact: Array) -> bool:
        """Whether the source changes by more than the numbers' own rounding."""
        return self.signal > FLOORS * self.total(exact)

    def most_following(self, each: Array, exact: Array, least_db: float | None) -> float:
        """The greatest noise with which an output still follows its source by this many dB; infinite if no rule limits it.

        Args:
            each: the squared error of all roundings on the way, at each place. exact: that of the last rounding.
        """
        if least_db is None or not self.moving(exact):
            return float("inf")
        share = self.signal / 10 ** (least_db / 10)
        allowed, last = self.total(each), self.total(exact)
        if allowed <= last:
            return last + share
        return min(allowed + share, max(last + share, self.signal / 10 ** (_BLIND_DB / 10)))
