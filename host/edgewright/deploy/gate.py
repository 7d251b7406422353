"""The gate: a release passes when what was measured on the board meets its budget and does not fall behind."""

from __future__ import annotations

from edgewright.nouns.measurement import Measurement
from edgewright.nouns.outcome import Check
from edgewright.nouns.project import Budget

MAX_DROP = 0.02  # of accuracy, where an evaluation set is given and the budget says nothing
MAX_SLOWDOWN = 0.25  # of p50 against the incumbent, beyond both intervals, where the budget says nothing


def answers(verified: dict[str, object]) -> Check:
    """The golden check, as the board's agent did it."""
    sqnr = verified.get("sqnr_db")
    return Check(
        name="answers",
        ok=bool(verified.get("ok")),
        value=float(sqnr) if isinstance(sqnr, int | float) else None,
        unit="dB",
        note="" if verified.get("ok") else "golden outputs differ from the source framework's",
    )


def accuracy(
    value: float, n: int, *, source: float | None, incumbent: float | None, budget: Budget
) -> list[Check]:
    """Accuracy on the board against the source's (on the host) and the incumbent's (on the board)."""
    limit = MAX_DROP if budget.max_drop is None else budget.max_drop
    checks = []
    for name, reference in (
        ("accuracy against its source", source),
        ("accuracy against the incumbent", incumbent),
    ):
        if reference is not None:
            drop = reference - value
            note = f"{value:.1%} here, {reference:.1%} there, {n} samples"
            # The margin is below one sample: a drop of exactly the limit passes whatever the rounding.
            checks.append(
                Check(name=name, ok=drop <= limit + 1e-9, value=drop, limit=limit, unit="drop", note=note)
            )
    return checks


def performance(
    candidate: Measurement, incumbent: Measurement | None, size_bytes: int, budget: Budget
) -> list[Check]:
    """Validity, latency, memory, size and accelerator."""
    checks = [Check(name="validity", ok=not candidate.invalid, note="; ".join(candidate.invalid))]
    checks += [
        limited("p50", candidate.latency.p50, budget.p50_ms, "ms"),
        limited("p95", candidate.latency.p95, budget.p95_ms, "ms"),
        limited("peak memory", candidate.peak_rss_mb, budget.peak_rss_mb, "MiB"),
        limited("size", size_bytes / 1024**2, budget.size_mb, "MiB"),
    ]
    if budget.accelerator:
        ok = candidate.accelerator == budget.accelerator
        checks.append(
            Check(
                name="accelerator", ok=ok, note=f"asked {budget.accelerator}, ran on {candidate.accelerator}"
            )
        )
    if incumbent is not None and not candidate.invalid and not incumbent.invalid:
        checks += slowdown(candidate, incumbent, budget)
    return checks


def limited(name: str, value: float | None, limit: float | None, unit: str) -> Check:
    """A value against a limit; a limit on a value that is unknown refuses."""
    if limit is None:
        return Check(name=name, ok=True, value=value, unit=unit)
    if value is None:
        return Check(
            name=name, ok=False, limit=limit, unit=unit, note="limited, but too few samples to state it"
        )
    return Check(name=name, ok=value <= limit, value=value, limit=limit, unit=unit)


def slowdown(candidate: Measurement, incumbent: Measurement, budget: Budget) -> list[Check]:
    """p50 against the incumbent's: slower only counts where the intervals say so too."""
    mine, theirs = candidate.latency, incumbent.latency
    if mine.p50 is None or theirs.p50 is None or not theirs.p50:
        return []
    limit = MAX_SLOWDOWN if budget.max_slowdown is None else budget.max_slowdown
    change = mine.p50 / theirs.p50 - 1
    clear = (mine.p50_low or mine.p50) > (theirs.p50_high or theirs.p50) * (1 + limit)
    return [
        Check(
            name="p50 against the incumbent",
            ok=not (change > limit and clear),
            value=change,
            limit=limit,
            unit="slower",
            note=f"{mine.p50:.3g} ms here, {theirs.p50:.3g} ms the incumbent, interleaved",
        )
    ]


def refusal(checks: list[Check]) -> str:
    """One line that says why, empty when every check passes."""
    return "; ".join(describe(check) for check in checks if not check.ok)


def describe(check: Check) -> str:
    """A failed check in words."""
    if check.value is None or check.limit is None:
        return f"{check.name}: {check.note}" if check.note else check.name
    unit = f" {check.unit}" if check.unit else ""
    text = f"{check.name}: {check.value:.3g}{unit}, the limit is {check.limit:.3g}"
    return f"{text} ({check.note})" if check.note else text
