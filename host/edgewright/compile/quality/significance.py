"""Compares two models on the same samples: the drop, and its confidence interval.

Scores of 0 and 1 use McNemar's exact test (the smaller of the two binomial tails, doubled) and Bonett and Price's
interval for the difference ("Adjusted Wald confidence interval for a difference of binomial proportions based on paired
data", 2012), one of the three that Fagerland, Lydersen and Laake recommend ("Recommended tests and confidence intervals
for paired binomial proportions", 2014). All others use a seeded, paired bootstrap with a percentile interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgewright.compile.data.answers import Answers
from edgewright.compile.quality.metrics import Scorer
from edgewright.errors import DataError
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Z = 1.959963984540054  # for a two-sided 95 % interval
RESAMPLES = 1000
LEAST_RESAMPLES = 200  # for user functions, which may be slow, and for large answers
WORK = 20_000_000  # scores to resample for one interval; beyond that, only the least number of resamples is drawn
SEED = 20260101  # the same answers always give the same interval
LEAST = 10  # samples below which a bootstrap interval is meaningless
CHUNK = 4_000_000  # indexes drawn at a time


def compare(scorer: Scorer, reference: Answers, candidate: Answers, labels: Array) -> Comparison:
    """Compares the candidate with the reference.

    Raises:
        DataError: as `Scorer.value`.
    """
    import numpy as np

    metric, count = scorer.metric, len(labels)
    theirs, mine = scorer.score(reference, labels), scorer.score(candidate, labels)
    before, now = scorer.value(reference, labels), scorer.value(candidate, labels)
    found = Comparison(
        metric=metric.name, n=count, reference=before, value=now, drop=metric.drop(before, now)
    )
    if isinstance(theirs, np.ndarray) and isinstance(mine, np.ndarray):
        if metric.higher_is_better and np.isin(theirs, (0, 1)).all() and np.isin(mine, (0, 1)).all():
            return _with(
                found, *mcnemar(int((theirs > mine).sum()), int((mine > theirs).sum()), count), "mcnemar"
            )
        return _bootstrapped(
            found, metric, lambda chosen: (theirs[chosen].mean(axis=1), mine[chosen].mean(axis=1))
        )

    def resampled(chosen: Array) -> tuple[Array, Array]:
        left, right = [], []
        for row in chosen:
            try:
                pair = (
                    scorer.raw(reference.taken(row), labels[row]),
                    scorer.raw(candidate.taken(row), labels[row]),
                )
            except DataError:  # a user function may fail on some draws
                pair = math.nan, math.nan
            left.append(pair[0])
            right.append(pair[1])
        return np.asarray(left, np.float64), np.asarray(right, np.float64)

    size = sum(array.size for array in reference.arrays)
    enough = min(RESAMPLES, max(LEAST_RESAMPLES, WORK // size)) if not metric.own else LEAST_RESAMPLES
    return _bootstrapped(found, metric, resampled, enough)


def mcnemar(lost: int, won: int, count: int) -> tuple[float, float, float]:
    """(low, high, p) for the net share of samples that the candidate loses.

    Args:
        lost: number of samples that only the reference gets right.
        won: number of samples that only the candidate gets right.
        count: number of all samples.
    """
    odd = lost + won
    # binomial tail in logarithms: `2 ** odd` overflows a double
    tail = math.fsum(
        math.exp(math.lgamma(odd + 1) - math.lgamma(k + 1) - math.lgamma(odd - k + 1) - odd * math.log(2))
        for k in range(min(lost, won) + 1)
    )
    left, right = (lost + 1) / (count + 2), (won + 1) / (count + 2)
    half = Z * math.sqrt(max(0.0, left + right - (left - right) ** 2) / (count + 2))
    return max(-1.0, left - right - half), min(1.0, left - right + half), min(1.0, 2 * tail)


def _bootstrapped(
    found: Comparison,
    metric: Metric,
    values: Callable[[Array], tuple[Array, Array]],
    resamples: int = RESAMPLES,
) -> Comparison:
    """The comparison with an interval for the drop, over samples drawn with replacement.

    Args:
        values: computes both metrics for rows of indexes: shape (rows, n) -> (reference's, candidate's), each of shape (rows,).
    """
    import numpy as np

    if found.n < LEAST:
        return found
    random = np.random.default_rng(SEED)
    left, drops = resamples, []
    while left:
        rows = min(left, max(1, CHUNK // found.n))
        before, now = values(random.integers(0, found.n, size=(rows, found.n)))
        drops += [metric.drop(float(a), float(b)) for a, b in zip(before, now, strict=True)]
        left -= rows
    sample = np.asarray(drops)
    sample = sample[~np.isnan(sample)]  # draws that miss one of the classes
    if len(sample) < resamples / 2 or not np.isfinite(sample).all():
        return found
    low, high = np.percentile(sample, [2.5, 97.5])
    tail = min(int((sample <= 0).sum()), int((sample >= 0).sum()))
    return _with(found, float(low), float(high), min(1.0, 2 * (tail + 1) / (len(sample) + 1)), "bootstrap")


def _with(found: Comparison, low: float, high: float, p: float, method: str) -> Comparison:
    import msgspec

    return msgspec.structs.replace(found, low=low, high=high, p=p, method=method)
