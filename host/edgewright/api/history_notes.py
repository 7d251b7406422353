"""Compares boards' answers with this machine's history: accepted changes, unfinished deployments, and disagreements."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    from edgewright.api.answer import Answer
    from edgewright.store.history import History
    from edgewright.store.journal import Unfinished
    from edgewright.wire.answers import Status

HISTORY_SECONDS = 3.0
SILENT = (
    "the history does not answer: accepted changes, unfinished deployments and disagreements are not shown"
)


class Disagreement(Noun, frozen=True, kw_only=True):
    """A board whose current release is not the last one in the history.

    Attributes:
        current: the release on the board; empty if there is none.
        recorded: the release in the history, since `at`.
        known_good: the board can roll back to the recorded release.
    """

    board: str
    model: str
    current: str
    recorded: str
    at: str
    known_good: bool


class HistoryNotes(Noun, frozen=True, kw_only=True):
    """What the history adds to a status.

    Attributes:
        accepted: a line per current release that was deployed although it changed the interface.
        silent: the history failed, or took too long.
        host: this machine.
    """

    accepted: tuple[str, ...] = ()
    deployments: tuple[Unfinished, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    silent: bool = False
    host: str = ""

    def lines(self) -> list[str]:
        """The notes as lines for people."""
        found = [SILENT] if self.silent else list(self.accepted)
        for one in self.deployments:
            what = f"deployment {one.id} of {one.model} {one.version}"
            if one.running:
                found.append(f"{what} is at work on {', '.join(one.boards)}")
            else:
                found.append(
                    f"{what}, begun {one.at} on {one.host}, is unfinished on {', '.join(one.boards)}"
                )
                finish = f"`edgewright deploy --resume {one.id}"
                found.append(
                    f"hint: finish it: {finish}`"
                    if one.host == self.host
                    else f"hint: it may be at work on {one.host}: look there; if that has stopped for good: {finish} --take-over`"
                )
        for each in self.disagreements:
            found.append(
                f"{each.board}: {each.model} is {each.current or 'absent'}, the history has {each.recorded} since {each.at}: "
                "another machine changed it, or it was restored from an older image"
            )
            back = f"`edgewright rollback {each.model} --on {each.board} --to {each.recorded}`"
            found.append(f"hint: put it back: {back}" if each.known_good else "hint: deploy it again")
        return found


def notes_of(answers: Sequence[Answer[Status]], fleet: str) -> HistoryNotes:
    """What the history adds to the boards' answers. The answers matter more: a history that fails or is slow becomes one line."""
    from edgewright.errors import EdgewrightError
    from edgewright.store.history import History

    history, known = History(), queue.SimpleQueue[HistoryNotes | Exception]()

    def ask() -> None:
        try:
            known.put(_asked(history, answers, fleet))
        except Exception as error:  # noqa: BLE001 - raised again below
            known.put(error)

    threading.Thread(target=ask, daemon=True).start()  # a hanging query must not block exit
    try:
        found = known.get(timeout=HISTORY_SECONDS)
    except queue.Empty:
        found = TimeoutError()
    if isinstance(found, (EdgewrightError, ImportError, OSError)):  # ImportError: no driver for the database
        return HistoryNotes(silent=True)
    if isinstance(found, Exception):
        raise found
    return found


def _asked(history: History, answers: Sequence[Answer[Status]], fleet: str) -> HistoryNotes:
    from edgewright.store.journal import DeploymentJournal, this_host

    current = [
        (answer.board.name, name, model.current)
        for answer in answers
        for name, model in sorted(answer.value.models.items() if answer.value else ())
        if model.current
    ]
    changed = history.accepted_changes(fleet, set(current))
    boards = {answer.board.name for answer in answers}
    unfinished = DeploymentJournal(history).unfinished(fleet)
    return HistoryNotes(
        accepted=tuple(f"{one[0]}: {one[1]} {one[2]}: {changed[one]}" for one in current if one in changed),
        deployments=tuple(one for one in unfinished if boards & set(one.boards)),
        disagreements=tuple(_disagreements(history, answers, fleet)),
        host=this_host(),
    )


def _disagreements(history: History, answers: Sequence[Answer[Status]], fleet: str) -> list[Disagreement]:
    """Boards whose current release is not the last recorded one. Uncertain cases do not count."""
    found: list[Disagreement] = []
    asked = {answer.board.name: answer for answer in answers if answer.value and not answer.value.problem}
    for last in history.last_releases(fleet, sorted(asked)):
        answer = asked[last.board]
        assert answer.value is not None  # noqa: S101 - only boards with an answer were requested
        model = answer.value.models.get(last.model)
        current = (model.current if model else None) or ""
        on_trial = model is not None and model.trial is not None
        another = last.board_id not in ("", answer.board_id)
        unsure = not last.board_id and not current  # no id recorded: the board may be new
        if not last.release or current == last.release or on_trial or another or unsure:
            continue
        good = model is not None and last.release in model.known_good
        found.append(Disagreement(
            board=last.board, model=last.model, current=current, recorded=last.release, at=last.at, known_good=good
        ))  # fmt: skip
    return found
