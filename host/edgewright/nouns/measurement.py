"""Measurement: the result of a benchmark on a board."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgewright.nouns.base import Noun


class Protocol(Noun, frozen=True, kw_only=True):
    """How to run a benchmark. Durations are in seconds and apply to one run of one release.

    Attributes:
        rounds: runs of each release, each in a fresh process; releases alternate (A B A B).
        warmup_s: duration of the inferences before steady state.
        steady_s: duration of the steady-state measurement; extended until there are `min_samples`.
        limit_s: time limit of the whole benchmark on a board; raised if the first start alone takes longer.
    """

    name: str
    rounds: int
    warmup_s: float
    steady_s: float
    min_samples: int
    limit_s: float


QUICK = Protocol(name="quick", rounds=2, warmup_s=0.3, steady_s=1.0, min_samples=11, limit_s=15.0)
STANDARD = Protocol(name="standard", rounds=5, warmup_s=1.0, steady_s=3.0, min_samples=130, limit_s=60.0)
PROTOCOLS = {protocol.name: protocol for protocol in (QUICK, STANDARD)}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run in a fresh process. Times are in milliseconds, memory in KiB.

    Attributes:
        samples_ms: every steady-state latency, in order; of a very fast model, whole blocks of them, evenly spread.
        peak_kb: peak resident memory above the baseline after the runtime's import; -1 if unknown.
        memory_method: how `peak_kb` was read.
    """

    release: str
    round: int
    import_ms: float
    load_ms: float
    first_ms: float
    samples_ms: Sequence[float]
    baseline_kb: int
    peak_kb: int
    memory_method: str
    accelerator: str = "cpu"
    runtime: str = ""
    threads: int = 0


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The board's state around a run. Unknown values are None.

    Attributes:
        throttled: throttled at this moment; `throttled_flags` the raw value of `vcgencmd`.
        swap_in_pages: pages swapped in since boot.
        load1: one-minute load average.
        contention: share of CPU time (0..1) used by other processes while measuring; in the `after` environment only.
    """

    throttled: bool | None = None
    throttled_flags: int | None = None
    temperature_c: float | None = None
    governor: str | None = None
    frequency_mhz: float | None = None
    load1: float | None = None
    cpus: int | None = None
    swap_in_pages: int | None = None
    power_mode: str | None = None
    contention: float | None = None


class Latency(Noun, frozen=True, kw_only=True):
    """Latency of one release over its runs, milliseconds. A percentile without enough samples is None.

    Attributes:
        p50: median of the runs' medians; `p50_low`, `p50_high` its 95 % bootstrap interval.
        n: total number of samples.
    """

    n: int
    runs: int
    p50: float | None
    p50_low: float | None
    p50_high: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    mean: float
    minimum: float
    maximum: float
    load_ms: float
    first_ms: float


class Ratio(Noun, frozen=True, kw_only=True):
    """The p50 of a release divided by that of another one, measured in turns with it.

    Attributes:
        reference: the other release.
        low, high: 95 % bootstrap interval of `value`.
    """

    reference: str
    value: float
    low: float
    high: float


class Measurement(Noun, frozen=True, kw_only=True):
    """One release measured on one board.

    Attributes:
        peak_rss_mb: as `model_memory_mb`, which replaces it.
        peak_process_mb: greatest peak of the whole process, with Python and the runtime, MiB; None if unknown.
        model_memory_mb: the model's share of it: the greatest peak above what was resident once the runtime was imported.
        target, precision: what the release was compiled to; empty if unknown.
        ratio: to the first release of the same benchmark; None for that one itself.
        invalid: reasons why it cannot be trusted; these block the gate.
        caveats: reservations; these block nothing.
        before, after: the board's state around the benchmark.
        medians_ms: the median of each run, in order.
        samples: sha256 of the raw samples' file in the home folder (`samples/<sha256>.npz`), empty if there is none.
        simulated: facts of the board that were substituted.
    """

    board: str
    model: str
    release: str
    artifact: str
    protocol: str
    latency: Latency
    peak_rss_mb: float | None
    memory_method: str
    accelerator: str
    runtime: str
    threads: int
    invalid: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    before: Environment = Environment()
    after: Environment = Environment()
    medians_ms: tuple[float, ...] = ()
    samples: str = ""
    peak_process_mb: float | None = None
    model_memory_mb: float | None = None
    target: str = ""
    precision: str = ""
    ratio: Ratio | None = None
    simulated: tuple[str, ...] = ()
