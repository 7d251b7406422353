"""The table of outcomes over boards, for deploy and demo."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.api.answer import mark
from edgewright.cli import render
from edgewright.cli.views.measurements import footnotes, p50
from edgewright.deployments import gate
from edgewright.metrics import to_show
from edgewright.nouns.interface import INTERFACE
from edgewright.nouns.outcome import (
    ABORTED,
    COMMITTED,
    FAILED,
    PLANNED,
    REFUSED,
    REVERTED,
    STAGED,
    UNCHANGED,
    UNKNOWN,
    UNREACHABLE,
    BoardOutcome,
)

STYLES = {
    COMMITTED: "green", UNCHANGED: "green", STAGED: "green", PLANNED: None, REFUSED: "yellow",
    REVERTED: "yellow", UNREACHABLE: "yellow", UNKNOWN: "red", FAILED: "red", ABORTED: "yellow",
}  # fmt: skip


def outcomes(title: str, results: Sequence[BoardOutcome], *, brief: bool = False) -> None:
    """Prints a table of outcomes, then the reason for each board that did not end as intended, then the caveats unless `brief`."""
    rows = [
        (
            outcome.board + mark(outcome.simulated), outcome.outcome, outcome.release or "-", outcome.current or "-",
            f"{outcome.target} {outcome.precision}".strip() or "-", p50(outcome.measurement), p50(outcome.incumbent),
            render.number(outcome.measurement.peak_process_mb if outcome.measurement else None),
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
            ">process MiB",
            ">accuracy",
            ">s",
        ],
        rows,
        [STYLES.get(outcome.outcome) for outcome in results],
        spare=(">s", ">incumbent ms", "release"),
    )
    reasons(results, hints=not brief)
    remarks(results)
    if brief:
        return
    accuracies(results)
    footnotes(
        [outcome.measurement for outcome in results if outcome.measurement],
        [(outcome.board, outcome.simulated) for outcome in results],
        known="; ".join(outcome.message for outcome in results),
    )


def remarks(results: Sequence[BoardOutcome]) -> None:
    """Prints the notes of checks that passed, without duplicates."""
    boards: dict[str, list[str]] = {}
    for outcome in results:
        for check in outcome.checks:
            text = ""
            answered = check.name == "answers" and check.ok and check.note
            if answered and check.limit is not None:
                text = f"{gate.describe(check)}; accepted, since the accuracy decides"
            elif answered:
                text = f"answers: {check.note}"
            elif check.name in ("incumbent", "precision"):
                text = check.note
            elif check.name == INTERFACE and check.ok:
                text = f"{check.name}: {check.note}"
            if text:
                boards.setdefault(text, []).append(outcome.board)
    for text, names in boards.items():
        render.line(f"{', '.join(dict.fromkeys(names))}: {text}")


def accuracy(outcome: BoardOutcome) -> str:
    """The accuracy on the board, from the gate's first accuracy check."""
    for check in outcome.checks:
        if check.metric and check.measured is not None:
            return to_show(check.metric).shown(check.measured)
    return "-"


def reasons(results: Sequence[BoardOutcome], *, hints: bool) -> None:
    """Prints why boards did not end as intended, without duplicates."""
    boards: dict[tuple[str, str], list[str]] = {}
    for outcome in results:
        if outcome.message:
            boards.setdefault((outcome.message, outcome.hint), []).append(outcome.board)
    for (message, hint), names in boards.items():
        render.line(f"{', '.join(names)}: {message}")
        if hint and hints:
            render.line(f"  hint: {hint}")


def accuracies(results: Sequence[BoardOutcome]) -> None:
    """Prints a line for each accuracy check that passed: drop, interval, sample count. `reasons` prints the failed ones."""
    for outcome in results:
        for check in outcome.checks:
            if check.ok and check.metric and check.measured is not None:
                render.line(f"{outcome.board}: {check.name}: {check.note}")
