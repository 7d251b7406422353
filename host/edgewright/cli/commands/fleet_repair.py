"""`fleet repair`: repairs what was changed by hand on boards, and lists the repairs."""

from __future__ import annotations

from pathlib import Path

from edgewright.api.results import BoardAnswer
from edgewright.cli import render
from edgewright.cli.on_boards import Boards, finish
from edgewright.cli.results.boards import FleetRepairResult
from edgewright.cli.views import damage
from edgewright.connect.session import Session
from edgewright.nouns.board import Board
from edgewright.wire import commands
from edgewright.wire.answers import Repaired, Status


def repair_boards(fleet: Path | None, selector: str, *, dry_run: bool, as_json: bool) -> None:
    """Repairs each board; exits with 2 if some board still needs manual repair."""
    command = commands.Repair(dry_run=dry_run)
    statuses: dict[str, Status] = {}

    def work(board: Board, session: Session, progress: object) -> Repaired:
        found = session.call(command)
        if found.left:
            statuses[board.name] = session.call(commands.Status())
        return found

    def people(answers: list[BoardAnswer[Repaired]]) -> None:
        for answer in answers:
            value, board = answer.result or Repaired(), answer.board
            models = statuses[board].models if board in statuses else {}
            for one in value.done:
                render.line(f"{board}: {'would repair: ' if dry_run else ''}{one}")
            for line in damage.lines(board, value.left, models):
                render.line(line)
            if not value.done and not value.left:
                render.line(f"{board}: nothing to repair")

    answers = Boards(fleet, selector).each("repair", work)
    finish(
        "fleet repair",
        answers,
        as_json,
        people,
        lambda: FleetRepairResult(dry_run=dry_run, boards=tuple(answers)),
        failed=any(answer.result and answer.result.left for answer in answers),
        ending=ending(answers, dry_run=dry_run),
    )


def ending(answers: list[BoardAnswer[Repaired]], *, dry_run: bool) -> str:
    """The closing sentence."""
    found = [answer.result for answer in answers if answer.result is not None]
    if any(one.left for one in found):
        return "the rest is for you to do: follow the hints above, then run `edgewright status`"
    if dry_run and any(one.done for one in found):
        return "nothing was changed: leave --dry-run out to do it"
    return "`edgewright status --verify` hashes all files there"
