"""Latency statistics: percentiles only with enough samples, runs in fresh processes, bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.nouns.measurement import Latency, Run

# Least samples for a percentile at 99 % confidence: MLPerf inference rules, early-stopping estimates.
LEAST_SAMPLES = {50: 11, 90: 64, 95: 130, 99: 662}
BOOTSTRAP = 1000
SEED = 20260101  # the interval of the same samples is the same interval


def percentile(samples: Sequence[float], rank: int) -> float | None:
    """The `rank`th percentile (nearest rank), or None with too few samples to estimate it."""
    if len(samples) < LEAST_SAMPLES[rank]:
        return None
    ordered = sorted(samples)
    return ordered[max(0, -(-rank * len(ordered) // 100) - 1)]


def median(values: Sequence[float]) -> float:
    """The median; `values` is not empty."""
    from statistics import median as plain

    return float(plain(values))


def latency(runs: Sequence[Run]) -> Latency:
    """Latency over the runs of one release, milliseconds.

    p50 is the median of the runs' medians. Its 95 % interval is a two-level bootstrap: runs are drawn with
    replacement, then samples within each (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013).
    The tail percentiles are of all samples together.

    Raises:
        ValueError: no run has a sample.
    """
    measured = [run for run in runs if run.samples_ms]
    if not measured:
        raise ValueError("no samples")
    samples = [value for run in measured for value in run.samples_ms]
    enough = len(samples) >= LEAST_SAMPLES[50]
    low, high = interval([run.samples_ms for run in measured]) if enough else (None, None)
    return Latency(
        n=len(samples),
        runs=len(measured),
        p50=median([median(run.samples_ms) for run in measured]) if enough else None,
        p50_low=low,
        p50_high=high,
        p90=percentile(samples, 90),
        p95=percentile(samples, 95),
        p99=percentile(samples, 99),
        mean=sum(samples) / len(samples),
        minimum=min(samples),
        maximum=max(samples),
        load_ms=median([run.load_ms for run in measured]),
        first_ms=median([run.first_ms for run in measured]),
    )


def interval(runs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """95 % bootstrap interval of the median of the runs' medians."""
    import numpy as np

    random = np.random.default_rng(SEED)
    # A median needs no more than some thousand samples a run; more would only cost time.
    arrays = [np.asarray(run[:: max(1, len(run) // 2000)], dtype=np.float64) for run in runs]
    medians = np.stack(
        [
            np.median(array[random.integers(0, len(array), size=(BOOTSTRAP, min(len(array), 500)))], axis=1)
            for array in arrays
        ]
    )  # (runs, BOOTSTRAP)
    chosen = random.integers(0, len(arrays), size=(len(arrays), BOOTSTRAP))
    drawn = np.median(np.take_along_axis(medians, chosen, axis=0), axis=0)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
