"""Tables of outcomes and measurements over boards, for deploy, rollback, bench and demo."""

from __future__ import annotations

from edgewright.cli import render
from edgewright.cli.answer import mark
from edgewright.deploy import gate
from edgewright.metrics import to_show
from edgewright.nouns import outcome as words
from edgewright.nouns.interface import INTERFACE
from edgewright.nouns.measurement import Measurement
from edgewright.nouns.outcome import BoardOutcome

STYLES = {
    words.COMMITTED: "green", words.UNCHANGED: "green", words.STAGED: "green", words.PLANNED: None, words.REFUSED: "yellow",
    words.REVERTED: "yellow", words.UNREACHABLE: "yellow", words.UNKNOWN: "red", words.FAILED: "red", words.ABORTED: "yellow",
}  # fmt: skip


def outcomes(title: str, results: list[BoardOutcome], *, brief: bool = False) -> None:
    """A table of outcomes, then the reason for each board that did not end as intended; the caveats, unless `brief`."""
    rows = [
        (
            outcome.board + mark(outcome.simulated), outcome.outcome, outcome.release or "-", outcome.current or "-",
            f"{outcome.target} {outcome.precision}".strip() or "-", p50(outcome.measurement), p50(outcome.incumbent),
            render.number(outcome.measurement.peak_rss_mb if outcome.measurement else None),
            accuracy(outcome), render.number(outcome.seconds),
        )
        for outcome in results
    ]  # fmt: skip
    render.table(
        title,
        [
            "board",
            "outcome",
            "release",
            "current",
            "compiled to",
            ">p50 ms",
            ">incumbent ms",
            ">RSS MiB",
            ">accuracy",
            ">s",
        ],
        rows,
        [STYLES.get(outcome.outcome) for outcome in results],
    )
    for outcome in results:
        if outcome.message:
            render.line(f"{outcome.board}: {outcome.message}")
            if outcome.hint and not brief:
                render.line(f"  hint: {outcome.hint}")
        for check in outcome.checks:
            answered = check.name == "answers" and check.ok and check.note
            if answered and check.limit is not None:
                render.line(f"{outcome.board}: {gate.describe(check)}; accepted, since the accuracy decides")
            elif answered or check.name in ("incumbent", "precision"):
                render.line(f"{outcome.board}: {check.note}")
            elif check.name == INTERFACE and check.ok:
                render.line(f"{outcome.board}: {check.name}: {check.note}")
    if brief:
        return
    accuracies(results)
    footnotes(
        [outcome.measurement for outcome in results if outcome.measurement],
        [outcome.simulated for outcome in results],
    )


def p50(measurement: Measurement | None) -> str:
    """p50 alone."""
    if measurement is None or measurement.latency.p50 is None:
        return "-"
    return render.number(measurement.latency.p50) + (" invalid" if measurement.invalid else "")


def latency(measurement: Measurement | None) -> str:
    """p50 with its interval."""
    if measurement is None or measurement.latency.p50 is None:
        return "-"
    figures = measurement.latency
    text = (
        f"{render.number(figures.p50)} [{render.number(figures.p50_low)}, {render.number(figures.p50_high)}]"
    )
    return f"{text} invalid" if measurement.invalid else text


def accuracy(outcome: BoardOutcome) -> str:
    """Accuracy on the board, of the gate's first check of it."""
    for check in outcome.checks:
        if check.metric and check.measured is not None:
            return to_show(check.metric).shown(check.measured)
    return "-"


def accuracies(results: list[BoardOutcome]) -> None:
    """A line a comparison of the accuracy: the drop, its interval, how many samples."""
    for outcome in results:
        for check in outcome.checks:
            if check.metric and check.measured is not None:
                render.line(f"{outcome.board}: {check.name}: {check.note}")


def measurements(title: str, results: list[Measurement]) -> None:
    """A table of measurements and what to know about them."""
    rows = [
        (
            one.board + mark(one.simulated), one.release, one.runtime, one.accelerator, one.threads, latency(one),
            render.number(one.latency.p95), render.number(one.latency.p99), render.number(one.latency.load_ms),
            render.number(one.latency.first_ms), render.number(one.peak_rss_mb), one.latency.n,
        )
        for one in results
    ]  # fmt: skip
    render.table(
        title,
        [
            "board",
            "release",
            "runtime",
            "ran on",
            ">threads",
            ">p50 ms [95 %]",
            ">p95",
            ">p99",
            ">load",
            ">first",
            ">RSS MiB",
            ">n",
        ],
        rows,
        ["yellow" if one.invalid else None for one in results],
    )
    footnotes(results, [one.simulated for one in results])


def footnotes(results: list[Measurement], simulated: list[tuple[str, ...]]) -> None:
    """Reasons, caveats and what `simulated` means, each once."""
    seen: dict[str, list[str]] = {}
    for one in results:
        for text in (
            *(f"invalid: {reason}" for reason in one.invalid),
            *(f"caveat: {text}" for text in one.caveats),
        ):
            boards = seen.setdefault(text, [])
            if one.board not in boards:
                boards.append(one.board)
    for text, boards in seen.items():
        render.line(f"{text} ({', '.join(boards)})")
    if any(simulated):
        facts = sorted({fact for row in simulated for fact in row})
        render.line(f"simulated: these facts were substituted, latency is this machine's: {', '.join(facts)}")
