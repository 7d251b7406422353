"""What this machine's history knows of what boards answered: accepted changes, unfinished deployments, and where they disagree."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    from edgewright.cli.answer import Answer
    from edgewright.store.history import History
    from edgewright.store.journal import Unfinished
    from edgewright.wire.answers import Status

HISTORY_SECONDS = 3.0
SILENT = (
    "the history does not answer: accepted changes, unfinished deployments and disagreements are not shown"
)


class Disagreement(Noun, frozen=True, kw_only=True):
    """A board whose current release is another one than the history's last.

    Attributes:
        current: what the board runs, empty for none. recorded: what the history has, since `at`.
        known_good: the board can roll back to what was recorded.
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
        accepted: a line a current release that was deployed although its interface was not its predecessor's.
        silent: the history failed, or took too long.
        host: this machine.
    """

    accepted: tuple[str, ...] = ()
    deployments: tuple[Unfinished, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    silent: bool = False
    host: str = ""

    def lines(self) -> list[str]:
        """For people."""
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
    """What the history adds. The boards' answers are what was asked for: a history that fails, or takes long, is one line."""
    from edgewright.errors import EdgewrightError
    from edgewright.store.history import History

    history, known = History(), queue.SimpleQueue[HistoryNotes | Exception]()

    def ask() -> None:
        try:
            known.put(_asked(history, answers, fleet))
        except Exception as error:  # noqa: BLE001 - raised again below
            known.put(error)

    threading.Thread(target=ask, daemon=True).start()  # one that hangs does not keep the process
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
    """Boards that run something else than was recorded last. What is not known for certain is no disagreement."""
    found: list[Disagreement] = []
    asked = {answer.board.name: answer for answer in answers if answer.value and not answer.value.problem}
    for last in history.last_releases(fleet, sorted(asked)):
        answer = asked[last.board]
        assert answer.value is not None  # noqa: S101 - those alone are asked for
        model = answer.value.models.get(last.model)
        current = (model.current if model else None) or ""
        on_trial = model is not None and model.trial is not None
        another = last.board_id not in ("", answer.board_id)
        unsure = not last.board_id and not current  # of a version that kept no id: the board may be a new one
        if not last.release or current == last.release or on_trial or another or unsure:
            continue
        good = model is not None and last.release in model.known_good
        found.append(Disagreement(
            board=last.board, model=last.model, current=current, recorded=last.release, at=last.at, known_good=good
        ))  # fmt: skip
    return found
