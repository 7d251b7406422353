"""Comparison: two models on the same labelled samples."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class Comparison(Noun, frozen=True, kw_only=True):
    """Compares a candidate with a reference, sample by sample.

    Attributes:
        n: number of labelled samples.
        reference, value: the metric of the reference and of the candidate.
        drop: how much worse the candidate is (`Metric.drop`); below 0 it is better.
        low, high: 95 % interval of the drop; None if it cannot be computed.
        p: two-sided, for the hypothesis that there is no drop; None if it cannot be computed.
        method: `mcnemar` (exact; the interval is Bonett and Price's), `bootstrap`, or empty if only the values are known.
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
        """Whether the interval excludes a drop of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
