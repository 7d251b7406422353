"""Opens a session on each board in parallel, does one thing there, and collects results and errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

import typer

from edgewright.api.answer import Answer
from edgewright.api.fleets import Fleet
from edgewright.api.on_boards import PARALLEL, on_boards
from edgewright.api.results import BoardAnswer
from edgewright.cli import render
from edgewright.cli.output import OutputError
from edgewright.cli.progress import LiveProgress, Passwords, PlainProgress, shown
from edgewright.connect.session import Limits, Session
from edgewright.errors import Code, Exit
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board
from edgewright.nouns.progress import Progress

T = TypeVar("T")
U = TypeVar("U")


class Boards:
    """The boards that a selector names.

    Attributes:
        shown: the boards that `each` has printed.
    """

    def __init__(self, fleet_option: Path | None, selector: str, *, parallel: int = PARALLEL) -> None:
        self.fleet = Fleet.load(fleet_option).select(selector)
        self.boards = list(self.fleet.boards.values())
        self.parallel = parallel
        self.shown: set[str] = set()

    def each(
        self,
        what: str,
        work: Callable[[Board, Session, Progress], T],
        people: Callable[[list[BoardAnswer[T]]], None] | None = None,
        limits: Limits | None = None,
    ) -> list[BoardAnswer[T]]:
        """Runs `work` with an open session on every board; returns the answers in the fleet's order.

        `people` prints answers without an error, as in `finish`: here, the early ones while slow boards still work.

        After a Ctrl-C, the progress callback that `work` gets raises Aborted: each board finishes its step and begins no other.
        """

        def records(found: list[Answer[T]]) -> list[BoardAnswer[T]]:
            return [answer.record(lambda value: value) for answer in found]

        with shown() as progress:
            early = Early(progress)
            self.shown = early.shown
            answers = on_boards(
                self.fleet, what, work, parallel=self.parallel, ask_password=Passwords(progress), progress=progress,
                limits=limits, early=None if people is None else lambda found: early.show(records(found), people),
            )  # fmt: skip
        return records(answers)


class Early:
    """Prints the boards that have answered while slow ones still work.

    Attributes:
        shown: the boards printed so far.
    """

    def __init__(self, progress: LiveProgress | PlainProgress) -> None:
        self.shown: set[str] = set()
        self._progress = progress

    def show(self, boards: Sequence[BoardAnswer[T]], people: Callable[[list[BoardAnswer[T]]], None]) -> None:
        """Prints these boards, as `show` does."""
        # if stdout fails now, it fails again at the end, where the error is reported
        with self._progress.away(), suppress(OutputError):
            show(boards, people)
            self.shown |= {board.board for board in boards}


def mapped(boards: Iterable[BoardAnswer[T]], of: Callable[[T], U]) -> tuple[BoardAnswer[U], ...]:
    """The answers with `of` applied to each result: its part of the JSON document."""
    return tuple(
        BoardAnswer(
            board=one.board, simulated=one.simulated, error=one.error,
            result=None if one.result is None else of(one.result),
        )
        for one in boards
    )  # fmt: skip


def exit_for(boards: Iterable[BoardAnswer[T]]) -> int:
    """The exit code: 0 if all boards succeeded; 2 if any failed; else 8 if the user stopped any; else 4 if any were unreachable."""
    codes = {board.error.code for board in boards if board.error is not None}
    if not codes:
        return Exit.OK
    if codes - {Code.ABORTED, Code.LEFT, Code.UNREACHABLE}:
        return Exit.SOME_FAILED
    return Exit.UNREACHABLE if codes == {Code.UNREACHABLE} else Exit.ABORTED


def finish(
    command: str,
    boards: Sequence[BoardAnswer[T]],
    as_json: bool,
    people: Callable[[list[BoardAnswer[T]]], None],
    result: Callable[[], Noun],
    *,
    failed: bool = False,
    notes: Sequence[str] = (),
    shown: Collection[str] = (),
    ending: str = "",
) -> NoReturn:
    """Prints the answers, then the errors, and exits with the resulting code.

    Args:
        people: prints the answers without an error.
        result: makes the command's result for JSON.
        failed: exit with 2 even if every board answered.
        notes: lines for people, even if no board answered.
        shown: boards that are already printed.
        ending: the closing sentence if every board answered.
    """
    code = Exit.SOME_FAILED if failed else exit_for(boards)
    if as_json:
        render.result(command, result(), ok=code == 0)
    else:
        show([board for board in boards if board.board not in shown], people, notes)
        end(boards, ending)
    raise typer.Exit(int(code))


def show(
    boards: Sequence[BoardAnswer[T]],
    people: Callable[[list[BoardAnswer[T]]], None],
    notes: Sequence[str] = (),
) -> None:
    """Prints the boards without an error, the notes, then the errors."""
    good = [board for board in boards if board.error is None]
    if good:
        people(good)
    for note in notes:
        render.line(note)
    for board in boards:
        if board.error is not None:
            render.note(f"{board.board}: error: {board.error.message}")
            if board.error.hint:
                render.note(f"{board.board}: hint: {board.error.hint}")
    sys.stdout.flush()


def end(boards: Sequence[BoardAnswer[T]], sentence: str) -> None:
    """Prints the closing sentence: the command's own, or how many boards failed and what to do."""
    bad = [(board.board, board.error.code) for board in boards if board.error is not None]
    if not bad:
        if sentence:
            render.ending(sentence)
        return
    count = f"{len(bad)} of {len(boards)} boards failed" if len(boards) > 1 else f"{bad[0][0]} failed"
    if {code for _, code in bad} <= {Code.ABORTED, Code.LEFT}:
        render.ending(f"{count.replace('failed', 'stopped early')}: run it again to continue")
    else:
        render.ending(
            f"{count}: follow the hints above, then run it again for {','.join(name for name, _ in bad[:4])}"
        )
