"""The closing sentence of a command: its result, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.nouns.outcome import (
    ABORTED,
    COMMITTED,
    GOOD,
    PLANNED,
    REFUSED,
    STAGED,
    UNCHANGED,
    UNFINISHED,
    UNKNOWN,
    UNREACHABLE,
    BoardOutcome,
)

NAMED = 4  # a sentence names up to this many boards, and counts more


def deployed(model: str, outcomes: Sequence[BoardOutcome], *, resumable: bool = True) -> str:
    """The closing sentence of a deployment."""
    by = grouped(outcomes)
    left = [board for kind in (ABORTED, UNFINISHED, UNKNOWN) for board in by.get(kind, [])]
    deployment = next((one.deployment for one in outcomes if one.deployment), "")
    if left and deployment and resumable:
        return f"{named(left)} not finished: `edgewright deploy --resume {deployment}` goes on"
    bad = [one for one in outcomes if one.outcome not in GOOD]
    if bad:
        rest = [one.board for one in outcomes if one.outcome in GOOD]
        text = "; ".join(f"{named(boards)} {kind}" for kind, boards in by.items() if kind not in GOOD)
        text += f"; {named(rest)} went well" if rest else ""
        if {one.outcome for one in bad} == {UNREACHABLE}:
            return f"{text}: `edgewright doctor {listed([one.board for one in bad])}` says what is wrong"
        if deployment:
            word = "why" if REFUSED in by else "what happened"
            return f"{text}: `edgewright history show {deployment}` tells {word}"
        return f"{text}: follow the hint above"
    if PLANNED in by:
        return "nothing was changed: leave --dry-run out to do it"
    if STAGED in by:
        return f"{named(by[STAGED])}: verified and measured, `current` is untouched; deploy it without --stage to activate it"
    if COMMITTED in by:
        on = listed(by[COMMITTED])
        back = f"`edgewright rollback {model} --on {on}` goes back, if `edgewright status` shows a release to go back to"
        return f"{model} runs on {named(by[COMMITTED])}; {back}"
    return f"{named(by.get(UNCHANGED, []))} had this release already: nothing to do"


def rolled_back(model: str, outcomes: Sequence[BoardOutcome]) -> str:
    """The closing sentence of a rollback."""
    by = grouped(outcomes)
    bad = [board for kind, boards in by.items() if kind not in GOOD for board in boards]
    if bad:
        return f"{named(bad)} not rolled back: `edgewright status {listed(bad)}` shows what runs there and what it can go back to"
    if PLANNED in by:
        return "nothing was changed: leave --dry-run out to do it"
    runs = list(dict.fromkeys(one.current for one in outcomes if one.current))
    what = f"{model} {runs[0]}" if len(runs) == 1 else f"an earlier release of {model}"
    return f"{what} runs on {named([one.board for one in outcomes])}; `edgewright status` shows what else is there"


def grouped(outcomes: Sequence[BoardOutcome]) -> dict[str, list[str]]:
    """Groups boards by outcome."""
    found: dict[str, list[str]] = {}
    for one in outcomes:
        found.setdefault(one.outcome, []).append(one.board)
    return found


def named(boards: Sequence[str]) -> str:
    """Boards in a sentence, such as `a, b` or `17 boards`."""
    return ", ".join(boards) if len(boards) <= NAMED else f"{len(boards)} boards"


def listed(boards: Sequence[str]) -> str:
    """Boards as a selector that a user can type."""
    return ",".join(boards) if len(boards) <= NAMED else "SELECTOR"
