"""Opens a session on each board in parallel, does one thing there, and collects results and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from edgewright.cli import options, render
from edgewright.cli.answer import Answer
from edgewright.cli.progress import Passwords, shown
from edgewright.cli.results.answers import BoardAnswer
from edgewright.config import fleet as fleets
from edgewright.connect.session import Session, open_session
from edgewright.deploy.executor import PARALLEL, FanOut
from edgewright.errors import Aborted, EdgewrightError, Exit, LeftAtWork, Unreachable
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.progress import Progress, Step
from edgewright.nouns.selector import select

T = TypeVar("T")


class Boards:
    """The boards of a selector."""

    def __init__(self, fleet_option: Path | None, selector: str, *, parallel: int = PARALLEL) -> None:
        self.fleet: Fleet = fleets.load(options.fleet_path(fleet_option))
        self.boards = select(self.fleet, selector)
        self.parallel = parallel

    def each(self, what: str, work: Callable[[Board, Session, Progress], T]) -> list[Answer[T]]:
        """`work` on every board with a session open; answers in the fleet's order.

        After a Ctrl-C the progress that `work` is given raises Aborted: a board ends its step and begins no other.
        """
        with shown() as progress:
            passwords = Passwords(progress)

            def one(board: Board) -> Answer[T]:
                fan_out.watched(Step(what=what, board=board.name))
                with open_session(board, self.fleet, ask_password=passwords, progress=progress) as session:
                    fan_out.watched(Step(what=what, board=board.name))
                    value = work(board, session, fan_out.watched)
                    return Answer(board, value, None, session.facts().simulated, session.greeting.board_id)

            def failed(board: Board, error: EdgewrightError) -> Answer[T]:
                return Answer(board, None, error)

            fan_out: FanOut[Answer[T]] = FanOut(one, failed, parallel=self.parallel, progress=progress)
            return fan_out.run(self.boards)


def exit_for(answers: list[Answer[T]]) -> int:
    """0; 2 when some boards failed; else 8 when the user stopped some; else 4 when some were unreachable."""
    errors = [answer.error for answer in answers if answer.error is not None]
    if not errors:
        return Exit.OK
    if not all(isinstance(error, Aborted | LeftAtWork | Unreachable) for error in errors):
        return Exit.SOME_FAILED
    return Exit.UNREACHABLE if all(isinstance(error, Unreachable) for error in errors) else Exit.ABORTED


def finish(
    command: str,
    answers: list[Answer[T]],
    as_json: bool,
    people: Callable[[list[Answer[T]]], None],
    result: Callable[[tuple[BoardAnswer[Any], ...]], Noun],
    *,
    of: Callable[[T], Any] = lambda value: value,
    failed: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Prints the answers, then the errors, and ends with the exit code.

    Args:
        people: prints the answers without an error.
        result: the command's result for JSON. of: a board's part of it.
        failed: a good answer is bad news.
        notes: lines for people, even if no board answered.
    """
    code = Exit.SOME_FAILED if failed else exit_for(answers)
    if as_json:
        render.result(command, result(tuple(answer.record(of) for answer in answers)), ok=code == 0)
    else:
        good = [answer for answer in answers if answer.error is None]
        if good:
            people(good)
        for note in notes:
            render.line(note)
        for answer in answers:
            if answer.error is not None:
                render.note(f"{answer.board.name}: error: {answer.error.message}")
                if answer.error.hint:
                    render.note(f"{answer.board.name}: hint: {answer.error.hint}")
    raise typer.Exit(int(code))
