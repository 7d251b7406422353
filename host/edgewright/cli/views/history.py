"""Shows one deployment or rollback on a board, from the history."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.api.answer import mark
from edgewright.cli import render
from edgewright.cli.results.releases import Event
from edgewright.cli.views.measurements import measurements
from edgewright.deployments import gate
from edgewright.metrics import to_show
from edgewright.nouns.outcome import GOOD, REFUSED, UNFINISHED, BoardOutcome, Check

SAID = ("`current` stays ", "see the checks with --json")  # phrases of hints that this view already shows


def story(event: Event) -> None:
    """Prints what was attempted, how it ended and why, and what to do next."""
    found = event.document or BoardOutcome(board=event.board, outcome=event.outcome)
    rows = (
        ("board", event.board + mark(found.simulated)),
        ("release", event.release or event.version),
        ("artifact", event.artifact[:12]),
        ("compiled to", f"{found.target} {found.precision}".strip()),
        ("runtime", found.runtime),
        ("deployment", found.deployment),
        ("took", f"{found.seconds:.0f} s" if found.seconds else ""),
        ("steps", ", ".join(found.steps)),
    )
    at = event.at.replace("T", " ").removesuffix("+00:00")
    title = f"{event.id}: {event.action} of {event.model} at {at} UTC: {event.outcome}"
    render.table(title, ["", ""], [(name, value) for name, value in rows if value])
    if found.checks:
        render.line("")
        checks(found.checks)
    measured = [one for one in (found.measurement, found.incumbent) if one is not None]
    if measured:
        render.line("")
        measurements("", measured)
    render.line("")
    if event.message:
        render.line(f"why: {event.message}")
    if event.document is None:
        render.line("another version wrote its details, which this one cannot read")
    render.line(ending(event, found))


def checks(found: Sequence[Check]) -> None:
    """Prints a row for each check of the gate."""
    rows = [
        (one.name, "passed" if one.ok else "FAILED", shown(one, one.value), shown(one, one.limit), one.note)
        for one in found
    ]
    styles = [None if one.ok else "yellow" for one in found]
    render.table("", ["check", "", ">found", ">limit", "note"], rows, styles)


def shown(check: Check, value: float | None) -> str:
    """A check's value with its unit."""
    if value is None:
        return "-"
    return to_show(check.metric).drop_shown(value) if check.metric else gate.with_unit(value, check.unit)


def ending(event: Event, found: BoardOutcome) -> str:
    """The hint on what to do next."""
    if event.outcome == UNFINISHED:
        return f"it did not end: `edgewright deploy --resume {found.deployment}` finishes it"
    current = f"{event.board} ran {found.current} afterwards" if found.current else ""
    if event.outcome in GOOD:
        return f"{current or f'it ended as {event.outcome}'}; `edgewright status {event.board}` shows what runs there now"
    advice = "; ".join(part for part in found.hint.split("; ") if not part.startswith(SAID))
    if event.outcome == REFUSED and not advice:
        advice = "change the model or the budget, and deploy it again"
    return "; ".join(part for part in (current, advice) if part) or "deploy it again"
