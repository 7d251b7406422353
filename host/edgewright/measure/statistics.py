"""Latency statistics: percentiles only with enough samples, runs in fresh processes, bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import TYPE_CHECKING, Any, cast

from edgewright.nouns.measurement import Latency, Ratio, Run

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

# Least samples for a percentile at 99 % confidence: MLPerf inference rules, early-stopping estimates.
LEAST_SAMPLES = {50: 11, 90: 64, 95: 130, 99: 662}
BOOTSTRAP = 1000
TINY_MS = 1e-9  # nothing is divided by less
SEED = 20260101  # the same samples always give the same interval


def percentile(ordered: Sequence[float], rank: int) -> float | None:
    """The `rank`th percentile (nearest rank) of samples in ascending order, or None with too few to estimate it."""
    if len(ordered) < LEAST_SAMPLES[rank]:
        return None
    return float(ordered[max(0, -(-rank * len(ordered) // 100) - 1)])


def median(values: Sequence[float]) -> float:
    """The median; `values` is not empty."""
    import numpy as np

    return float(np.median(np.asarray(values, np.float64)))  # there may be millions


def latency(runs: Sequence[Run]) -> Latency:
    """Latency over the runs of one release, milliseconds.

    p50 is the median of the runs' medians. Its 95 % interval is a two-level bootstrap: runs are drawn with
    replacement, then samples within each (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013).
    The tail percentiles are over all samples together.

    Raises:
        ValueError: no run has a sample.
    """
    import numpy as np

    measured = [run for run in runs if run.samples_ms]
    if not measured:
        raise ValueError("no samples")
    samples = np.concatenate([np.asarray(run.samples_ms, np.float64) for run in measured])
    samples.sort()  # in place: there may be millions
    ordered = cast(Sequence[float], samples)
    enough = len(samples) >= LEAST_SAMPLES[50]
    low, high = interval([run.samples_ms for run in measured]) if enough else (None, None)
    return Latency(
        n=len(samples),
        runs=len(measured),
        p50=median([median(run.samples_ms) for run in measured]) if enough else None,
        p50_low=low,
        p50_high=high,
        p90=percentile(ordered, 90),
        p95=percentile(ordered, 95),
        p99=percentile(ordered, 99),
        mean=fsum(value for run in measured for value in run.samples_ms) / len(samples),
        minimum=float(ordered[0]),
        maximum=float(ordered[-1]),
        load_ms=median([run.load_ms for run in measured]),
        first_ms=median([run.first_ms for run in measured]),
    )


def interval(runs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """95 % bootstrap interval of the median of the runs' medians."""
    import numpy as np

    random = np.random.default_rng(SEED)
    medians = drawn_medians(runs, random)
    low, high = np.percentile(over_runs(medians, drawn_runs(len(runs), random)), [2.5, 97.5])
    return float(low), float(high)


def ratio(runs: Sequence[Run], reference: Sequence[Run]) -> Ratio | None:
    """The p50 of `runs` divided by that of `reference`; None where one of them has none.

    The same rounds are drawn of both, as they were measured right after one another: what slows a board for a while
    slows both.
    """
    import numpy as np

    rounds = {run.round: run.samples_ms for run in runs if run.samples_ms}
    others = {run.round: run.samples_ms for run in reference if run.samples_ms}
    both = sorted(rounds.keys() & others.keys())
    mine, theirs = [rounds[number] for number in both], [others[number] for number in both]
    if min(sum(map(len, mine)), sum(map(len, theirs))) < LEAST_SAMPLES[50]:
        return None
    below = median([median(samples) for samples in theirs])
    if not below:
        return None
    random = np.random.default_rng(SEED)
    drawn = [drawn_medians(samples, random) for samples in (mine, theirs)]
    chosen = drawn_runs(len(both), random)
    ratios = over_runs(drawn[0], chosen) / np.maximum(over_runs(drawn[1], chosen), TINY_MS)
    low, high = np.percentile(ratios, [2.5, 97.5])
    value = median([median(samples) for samples in mine]) / below
    return Ratio(reference=reference[0].release, value=value, low=float(low), high=float(high))


def drawn_medians(runs: Sequence[Sequence[float]], random: Generator) -> NDArray[Any]:
    """Medians of samples that are drawn within each run, with replacement: (runs, BOOTSTRAP)."""
    import numpy as np

    # Some thousand samples per run are enough for a median; more would only cost time.
    arrays = [np.asarray(run[:: max(1, len(run) // 2000)], dtype=np.float64) for run in runs]
    return np.stack(
        [
            np.median(array[random.integers(0, len(array), size=(BOOTSTRAP, min(len(array), 500)))], axis=1)
            for array in arrays
        ]
    )


def drawn_runs(runs: int, random: Generator) -> NDArray[Any]:
    """The numbers of the runs of each draw: (runs, BOOTSTRAP)."""
    return random.integers(0, runs, size=(runs, BOOTSTRAP))


def over_runs(medians: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
    """The median of the chosen runs' medians, for each draw: (BOOTSTRAP,)."""
    import numpy as np

    found: NDArray[Any] = np.median(np.take_along_axis(medians, chosen, axis=0), axis=0)
    return found
