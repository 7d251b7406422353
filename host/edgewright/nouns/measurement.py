"""Measurement: what a benchmark on a board returned."""

from __future__ import annotations

import msgspec

from edgewright.nouns.base import Noun


class Protocol(Noun, frozen=True, kw_only=True):
    """How a benchmark is run. Durations in seconds, of one run of one release.

    Attributes:
        rounds: runs of each release, each in a fresh process; releases alternate (A B A B).
        warmup_s: inferences before steady state are for this long.
        steady_s: steady state is measured for this long, and until `min_samples`.
        limit_s: the whole benchmark on a board ends within this; where the first start alone takes longer, it gets more.
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
    """One run: one fresh process. Times in milliseconds, memory in KiB.

    Attributes:
        samples_ms: every steady-state latency, in order, none dropped.
        peak_kb: peak resident memory above the baseline after the runtime's import; -1 where unknown.
        memory_method: how `peak_kb` was read.
    """

    release: str
    round: int
    import_ms: float
    load_ms: float
    first_ms: float
    samples_ms: tuple[float, ...]
    baseline_kb: int
    peak_kb: int
    memory_method: str
    accelerator: str = "cpu"
    runtime: str = ""
    threads: int = 0


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The board around a run. Unknown values are None.

    Attributes:
        throttled: throttled at this moment; `throttled_flags` the raw `vcgencmd` word.
        swap_in_pages: pages swapped in since boot.
        load1: one-minute load average.
        contention: share of the CPU time of others (0..1) while measuring; in the `after` environment only.
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
        n: samples in all.
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


class Measurement(Noun, frozen=True, kw_only=True):
    """One release measured on one board.

    Attributes:
        peak_rss_mb: greatest peak of the runs above their baselines, MiB; None where unknown.
        invalid: reasons why it must not be believed; blocks the gate.
        caveats: what to keep in mind; blocks nothing.
        before, after: the board around the benchmark.
        medians_ms: of each run, in order.
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
    simulated: tuple[str, ...] = ()
