"""`fleet remove`: removes boards from the fleet file, and with --purge edgewright's files from the boards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgewright.api.results import BoardAnswer
from edgewright.cli import render
from edgewright.cli.confirmation import confirm
from edgewright.cli.on_boards import Boards, exit_for
from edgewright.cli.results.fleet import FleetRemoveResult
from edgewright.config import fleet as fleets
from edgewright.config import trust as trusts
from edgewright.nouns.board import Fleet
from edgewright.wire import commands
from edgewright.wire.answers import Purged


def remove_boards(fleet_option: Path | None, selector: str, *, purge: bool, yes: bool, as_json: bool) -> int:
    """Removes boards after the user confirms; returns the exit code. Keeps a board in the file if its purge fails."""
    boards = Boards(fleet_option, selector)
    names = [board.name for board in boards.boards]
    confirm(
        f"remove {', '.join(names)} from {boards.fleet.path.name}{' and purge the boards' if purge else ''}?",
        yes,
    )
    answers = (
        boards.each("purge", lambda board, session, progress: session.call(commands.Purge())) if purge else []
    )
    kept = sorted(answer.board for answer in answers if answer.error is not None)
    gone = [name for name in names if name not in kept]
    forget(boards.fleet, gone)
    code = exit_for(answers)
    if as_json:
        removed = FleetRemoveResult(removed_boards=tuple(gone), kept_boards=tuple(kept))
        render.result("fleet remove", removed, ok=code == 0)
    elif gone:
        render.line(f"removed {', '.join(gone)}")
    report(answers)
    if not as_json:
        render.ending(ending(kept, purge=purge))
    return int(code)


def forget(fleet: Fleet, names: Sequence[str]) -> None:
    """Removes boards and their pins from the fleet's files."""
    with fleets.changing(fleet.path) as file:
        for name in names:
            file.boards.pop(name, None)
    with trusts.changing(fleet) as pins:
        for name in names:
            pins.boards.pop(name, None)


def report(answers: Sequence[BoardAnswer[Purged]]) -> None:
    """Notes which boards are kept, and what a purge could not remove."""
    for answer in answers:
        if answer.error is not None:
            render.note(f"{answer.board} is kept: {answer.error.message}")
        elif answer.result and answer.result.left:
            render.note(f"{answer.board}: left there: {answer.result.left}")


def ending(kept: Sequence[str], *, purge: bool) -> str:
    """The closing sentence."""
    if kept:
        return f"run it again for {','.join(kept[:4])} when they answer; without --purge it only changes the fleet file"
    if purge:
        return "`edgewright fleet add NAME ADDRESS` adds a board again"
    return "edgewright's files stay on the boards: add them again and use --purge to remove those too"
