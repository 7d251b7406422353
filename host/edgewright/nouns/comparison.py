"""Comparison: two models on the same labelled samples."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class Comparison(Noun, frozen=True, kw_only=True):
    """A candidate against a reference, sample by sample.

    Attributes:
        n: labelled samples.
        reference, value: the metric of each.
        drop: how much worse the candidate is (`Metric.drop`); below 0 it is better.
        low, high: 95 % interval of the drop; None where it cannot be stated.
        p: two-sided, of the hypothesis that there is no drop; None where it cannot be stated.
        method: `mcnemar` (exact; the interval is Bonett and Price's), `bootstrap`, or empty: only the values are known.
    """

    metric: str
    n: int
    reference: float
    value: float
    drop: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    method: str = ""

    @property
    def clear(self) -> bool:
        """Whether the interval excludes that there is no drop."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
