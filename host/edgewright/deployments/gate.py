"""The gate: a release passes if its measurements meet the budget and do not fall behind the incumbent's."""

from __future__ import annotations

import math

import msgspec

from edgewright.compile.quality.verdict.description import RANDOM
from edgewright.deployments import golden_words
from edgewright.metrics import to_show
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.measurement import Measurement
from edgewright.nouns.metric import Metric
from edgewright.nouns.outcome import Check
from edgewright.nouns.project import MAX_DROP, Budget
from edgewright.wire.answers import Verdict

DROP, SLOWER = "drop", "slower"  # units of checks
SOURCE = "its source"  # the board's accuracy is compared with the source's and the incumbent's
UNKNOWN = {"ms": "there are too few samples to estimate it", "MiB": "the board does not report it"}
MAX_SLOWDOWN = 0.25  # default limit for p50 against the incumbent, beyond both intervals
LEAST_SLOWDOWN_MS = (
    0.01  # no application notices less, and much of the latency of so small a model is the call's
)


def answers(verified: Verdict, manifest: Manifest) -> Check:
    """The golden check, as the board's agent reports it.

    It has a limit if the only fault is that outputs are less exact than their precision allows. It then passes if the host asked the
    agent to be lenient, or if an evaluation accepted the release before.

    Raises:
        ProtocolError: the answer does not fit the manifest.
    """
    golden_words.check(verified, manifest)
    ok = verified.ok and not verified.lost and not verified.wrong
    note = f"ok, {RANDOM}" if manifest.goldens.origin == "random" else ""
    value, limit, unit = golden_words.figures(verified)
    if limit is not None or not ok:
        found = golden_words.found(verified, manifest)
        note = "golden outputs differ from the source framework's" + (f": {found}" if found else "")
    return Check(
        name="answers",
        ok=ok,
        value=value,
        limit=limit,
        unit=unit,
        note=note,
    )


def unvouched(checks: list[Check]) -> list[Check]:
    """Refuses answers that are less exact than their precision allows and were not compared with the source's.

    A comparison with the incumbent is not enough: the incumbent may be just as inexact.
    """
    low = [check for check in checks if check.name == "answers" and check.ok and check.limit is not None]
    limited = [
        check for check in checks if check.name == f"accuracy against {SOURCE}" and check.limit is not None
    ]
    if not low or limited:
        return []
    note = f"not compared with {SOURCE}, which {describe(low[0])} needs: convert it with this evaluation set and metric (--no-cache)"
    return [Check(name="accuracy", ok=False, note=note)]


def placement(verified: Verdict, budget: Budget) -> Check | None:
    """Where the layers ran, as the runtime reports; None if all ran in one place, or if the runtime cannot split a model.

    A budget that names an accelerator refuses any layer that ran elsewhere, because runtimes fall back silently. It
    also refuses a model whose placement is unknown (`placement` null) if the runtime can split models.
    """
    where = verified.placement
    if where is None and budget.accelerator:
        note = f"asked {budget.accelerator} for every layer, but the runtime did not tell where they ran"
        return Check(name="placement", ok=False, note=note)
    where = where or {}
    elsewhere = {name for name in where if name != budget.accelerator}
    if not (elsewhere if budget.accelerator else len(where) > 1):
        return None
    note = ", ".join(f"{count} on {name}" for name, count in sorted(where.items()))
    asked = f"asked {budget.accelerator} for every layer, but " if budget.accelerator else ""
    return Check(name="placement", ok=not budget.accelerator, note=f"{asked}layers ran: {note}")


def accuracy(metric: Metric, name: str, found: Comparison, budget: Budget, *, of: str = "") -> Check:
    """Accuracy on the board compared with a reference's on the same samples.

    The observed drop decides. With `noninferior` in the budget, the upper end of its interval decides, so that too few
    samples also refuse. The note states both, and the output (`of`).
    """
    limit = MAX_DROP if budget.max_drop is None else budget.max_drop
    drop = worst(found) if budget.noninferior else found.drop
    return Check(
        name=f"accuracy against {name}", ok=drop <= limit + 1e-9,  # far less than one sample: a drop of exactly the limit passes
        value=found.drop, limit=limit, unit=DROP, note=noted(metric, found, limit, of, sure=bool(budget.noninferior)),
        metric=metric.name, measured=found.value, reference=found.reference, n=found.n, low=found.low, high=found.high, p=found.p,
    )  # fmt: skip


def worst(found: Comparison) -> float:
    """The greatest drop that the samples do not rule out."""
    return math.inf if found.high is None else found.high


def noted(metric: Metric, found: Comparison, limit: float, of: str = "", *, sure: bool) -> str:
    """A comparison for people: both values, the interval of the drop, and the conclusion."""
    text = f"{metric.shown(found.value)} here, {metric.shown(found.reference)} there, {found.n} samples{of}"
    if found.low is None or found.high is None:
        return f"{text}, no interval" + (": what it needs is missing, so it is not proven" if sure else "")
    p = f"p {found.p:.2g}" if found.p is not None else ""
    text += f", 95 % interval of the drop {metric.drop_shown(found.low)} to {metric.drop_shown(found.high)}, {p}: "
    if not found.clear:
        text += "no difference is proven"
    else:
        text += "it is worse" if found.low > 0 else "it is better"
    if found.drop <= limit + 1e-9 < found.high:
        text += f"; too few samples to rule out a drop beyond {metric.drop_shown(limit)}"
    return text


def performance(
    candidate: Measurement, incumbent: Measurement | None, size_bytes: int, budget: Budget
) -> list[Check]:
    """The checks of validity, latency, memory, size and accelerator."""
    checks = [Check(name="validity", ok=not candidate.invalid, note="; ".join(candidate.invalid))]
    checks += [
        limited("p50", candidate.latency.p50, budget.p50_ms, "ms"),
        limited("p95", candidate.latency.p95, budget.p95_ms, "ms"),
        *memory(candidate, budget),
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


def memory(candidate: Measurement, budget: Budget) -> list[Check]:
    """The checks of the process's peak memory and of the model's share of it."""
    share = budget.model_memory_mb or budget.peak_rss_mb
    checks = [
        limited("peak process memory", candidate.peak_process_mb, budget.peak_process_mb or None, "MiB"),
        limited("peak memory", candidate.model_memory_mb, share, "MiB"),
    ]
    if share and not checks[1].note:
        note = "the model's share, without Python and the runtime"
        checks[1] = msgspec.structs.replace(checks[1], note=note)
    return checks


def limited(name: str, value: float | None, limit: float | None, unit: str) -> Check:
    """Checks a value against a limit; an unknown value fails if there is a limit."""
    if limit is None:
        return Check(name=name, ok=True, value=value, unit=unit)
    if value is None:
        return Check(
            name=name,
            ok=False,
            limit=limit,
            unit=unit,
            note=f"the budget limits {name}, but {UNKNOWN.get(unit, 'it is unknown')}",
        )
    return Check(name=name, ok=value <= limit, value=value, limit=limit, unit=unit)


def slowdown(candidate: Measurement, incumbent: Measurement, budget: Budget) -> list[Check]:
    """Checks p50 against the incumbent's: a slowdown counts only if the confidence intervals confirm it, and from 10 µs on."""
    mine, theirs = candidate.latency, incumbent.latency
    if mine.p50 is None or theirs.p50 is None or not theirs.p50:
        return []
    limit = MAX_SLOWDOWN if budget.max_slowdown is None else budget.max_slowdown
    change = mine.p50 / theirs.p50 - 1
    small = mine.p50 - theirs.p50 < LEAST_SLOWDOWN_MS
    clear = (mine.p50_low or mine.p50) > (theirs.p50_high or theirs.p50) * (1 + limit)
    return [
        Check(
            name="p50 against the incumbent",
            ok=not (change > limit and clear and not small),
            value=change,
            limit=limit,
            unit=SLOWER,
            measured=mine.p50,
            reference=theirs.p50,
            note=f"{mine.p50:.3g} ms here, {theirs.p50:.3g} ms the incumbent, interleaved"
            + ("; below 10 µs it does not count" if small and change > limit else ""),
        )
    ]


def refusal(checks: list[Check]) -> str:
    """One line with the reasons for a refusal; empty if every check passes."""
    return "; ".join(describe(check) for check in checks if not check.ok)


def with_unit(value: float, unit: str) -> str:
    """A value for people. A fraction, such as how much slower, is a percentage."""
    if unit == SLOWER:
        return f"{value:.0%} {unit}"
    return f"{value:.3g} {unit}".strip()


def advice(checks: list[Check]) -> str:
    """The hint for a refusal."""
    if {check.name for check in checks if not check.ok} == {"validity"}:
        return "deploy it again when nothing disturbs the measurement"
    return "change the model or the budget, and deploy it again"


def describe(check: Check) -> str:
    """A failed check in words."""
    if check.value is None or check.limit is None:
        return f"{check.name}: {check.note}" if check.note else check.name
    if check.metric and check.unit == DROP:
        shown = to_show(check.metric).drop_shown
        text = f"{check.name}: {shown(check.value)} worse, the limit is {shown(check.limit)}"
    else:
        limit = f"{check.limit:.0%}" if check.unit == SLOWER else f"{check.limit:.3g}"
        text = f"{check.name}: {with_unit(check.value, check.unit)}, the limit is {limit}"
    return f"{text} ({check.note})" if check.note else text
