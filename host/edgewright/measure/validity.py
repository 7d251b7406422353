"""Decides what makes a measurement invalid, and what is only a caveat."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.measure.statistics import LEAST_SAMPLES, median
from edgewright.measure.threads import Threads
from edgewright.nouns.listing import plural
from edgewright.nouns.measurement import Environment, Run

CONTENTION_CAVEAT = 0.25  # share of the board's CPU time that other processes used during the measurement
CONTENTION_INVALID = 0.9
HOT_C = 80.0  # °C at which a Raspberry Pi starts to throttle
DRIFT = 0.2  # how far the runs' medians may differ


def invalid(runs: Sequence[Run], before: Environment, after: Environment) -> list[str]:
    """Reasons why the runs of one release cannot be trusted."""
    reasons = []
    count = sum(len(run.samples_ms) for run in runs)
    if count < LEAST_SAMPLES[50]:
        reasons.append(f"too few samples: {count}, a median needs {LEAST_SAMPLES[50]}")
    if before.throttled or after.throttled:
        reasons.append("throttled: the board lowered its clock while it measured")
    elif newly_throttled(before, after):
        reasons.append("throttled at some moment while it measured")
    swapped = (after.swap_in_pages or 0) - (before.swap_in_pages or 0)
    if before.swap_in_pages is not None and swapped > 0:
        reasons.append(f"swapping: {swapped} pages were read back while it measured")
    if after.contention is not None and after.contention > CONTENTION_INVALID:
        reasons.append(f"contention: other processes used {after.contention:.0%} of the CPU")
    return reasons


def newly_throttled(before: Environment, after: Environment) -> bool:
    """Whether a sticky bit (16-19 of `vcgencmd get_throttled`) was set between the two readings."""
    if before.throttled_flags is None or after.throttled_flags is None:
        return False
    return bool((after.throttled_flags & ~before.throttled_flags) >> 16 & 0xF)


def caveats(
    runs: Sequence[Run],
    before: Environment,
    after: Environment,
    p95: float | None,
    threads: Threads | None = None,
) -> list[str]:
    """Caveats about the runs of one release. `threads`: those that were asked for."""
    notes = [] if threads is None else about_threads(runs, threads)
    if before.governor and before.governor != "performance":
        notes.append(f"governor: {before.governor}")
    if after.temperature_c is None:
        notes.append("temperature unknown")
    elif after.temperature_c >= HOT_C:
        notes.append(f"hot: {after.temperature_c:.0f} C")
    if before.load1 is not None and before.cpus and before.load1 > before.cpus:
        notes.append(f"load {before.load1:.1f} on {before.cpus} CPUs before it began")
    if after.contention is not None and CONTENTION_CAVEAT < after.contention <= CONTENTION_INVALID:
        notes.append(f"other processes used {after.contention:.0%} of the CPU")
    if p95 is None:
        notes.append(f"no p95: it needs {LEAST_SAMPLES[95]} samples")
    notes += drift(runs)
    return notes


def about_threads(runs: Sequence[Run], threads: Threads) -> list[str]:
    """Caveats about fewer threads than were wanted, and about more than the board has CPUs."""
    took = {run.threads for run in runs if run.threads} or {threads.used}
    used = min(took)
    notes = []
    if used < threads.wanted:
        cpus = threads.cpus
        why = f"the board has {plural(cpus, 'CPU')}" if cpus and cpus <= used else "the runtime took no more"
        notes.append(f"{plural(used, 'thread')} in place of {threads.wanted}: {why}")
    if threads.cpus and max(took) > threads.cpus:
        notes.append(f"{plural(max(took), 'thread')} on {plural(threads.cpus, 'CPU')}")
    return notes


def drift(runs: Sequence[Run]) -> list[str]:
    """A caveat if the runs disagree more than they should."""
    medians = [median(run.samples_ms) for run in runs if run.samples_ms]
    if len(medians) < 2 or max(medians) <= min(medians) * (1 + DRIFT):
        return []
    return [f"the runs' medians differ by {max(medians) / min(medians) - 1:.0%}"]
