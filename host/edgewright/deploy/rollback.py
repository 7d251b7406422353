"""Reactivates a known-good release on boards, after verifying it there."""

from __future__ import annotations

import platform
import time
import uuid

import msgspec

from edgewright.connect.opener import Opener
from edgewright.connect.session import Session
from edgewright.connect.transport import AskPassword
from edgewright.deploy.deploy import kind_of, recorded
from edgewright.deploy.fan_out import FanOut
from edgewright.deploy.incumbent import incumbent_of
from edgewright.deploy.release import LEASE_S
from edgewright.deploy.request import DEADLINE_S
from edgewright.deploy.settle import settle, settled
from edgewright.deploy.trace import Trace
from edgewright.errors import BoardError, Code, EdgewrightError, Unreachable
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.outcome import PLANNED, BoardOutcome
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.store.history import History
from edgewright.wire import commands


class RollbackRequest(Noun, frozen=True, kw_only=True):
    """A rollback.

    Attributes:
        to: version or release; None is the known-good one before `current`.
        threads, accelerator: with which the release is verified before it is put back.
    """

    fleet: Fleet
    boards: tuple[Board, ...]
    model: str
    to: str | None = None
    threads: int = 1
    accelerator: str | None = None
    unguarded: bool = False
    dry_run: bool = False
    deadline_s: float = DEADLINE_S
    parallel: int = 16


def rollback(
    request: RollbackRequest,
    *,
    history: History,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
) -> list[BoardOutcome]:
    """Rolls a model back on boards and records how it ended on each; a board's trouble never raises."""
    opener = Opener(request.fleet, ask_password, progress)

    def work(board: Board) -> BoardOutcome:
        started = time.monotonic()
        trace = Trace()
        try:
            with opener(board) as session:
                kind = attempt(request, board, session, trace, opener, fan_out.watched)
            return outcome(request, board, kind, trace, started)
        except EdgewrightError as error:
            return failed(request, board, error, trace, started)

    def ended(board: Board, error: EdgewrightError) -> BoardOutcome:
        return failed(request, board, error, Trace(), time.monotonic())

    fan_out: FanOut[BoardOutcome] = FanOut(work, ended, parallel=request.parallel, progress=progress)
    outcomes = fan_out.run(request.boards)
    if request.dry_run:
        return outcomes
    return recorded(history, "rollback", request.fleet.name, request.to or "", outcomes)


def attempt(
    request: RollbackRequest,
    board: Board,
    session: Session,
    trace: Trace,
    opener: Opener,
    progress: Progress,
) -> str:
    """One board's rollback; returns `committed` or `planned`."""
    step = Step(what="rollback", board=board.name, detail=request.to or "to the known-good one before")
    progress(step)
    trace.facts = session.facts()
    trace.current = incumbent_of(session, request.model).release
    progress(step)  # from here on it is one step
    txn = uuid.uuid4().hex
    command = commands.Rollback(
        model=request.model, to=request.to, txn=txn, deadline_s=request.deadline_s, unguarded=request.unguarded,
        threads=request.threads, accelerator=request.accelerator, dry_run=request.dry_run,
    )  # fmt: skip
    if request.dry_run:
        trace.release = planned(session, command)
        trace.steps += [f"verify {trace.release}", "activate", "commit"]
        return PLANNED
    host = platform.node() or "unknown"
    session.call(commands.Begin(model=request.model, txn=txn, host=host, ttl_s=LEASE_S))
    trace.activating = True
    try:
        answer = session.call(command)
        trace.release, trace.guard = answer.release, answer.guard
        kind = session.call(commands.Commit(txn=txn)).outcome
        session.call(commands.End(txn=txn))
    except Unreachable:
        kind = settle(lambda: opener(board), txn)
    settled(trace, kind)
    if not trace.release:  # its answer was lost: ask what it was
        with opener(board) as again:
            trace.release = incumbent_of(again, request.model).release
    trace.current = trace.release
    return kind


def planned(session: Session, command: commands.Rollback) -> str:
    """The release that a rollback would put back, as the board says, or the board's refusal."""
    try:
        return session.call(command).release
    except BoardError as error:
        if error.code == Code.BAD_ARGUMENT and "dry_run" in error.message:
            raise BoardError(
                f"the agent of {session.board.name} is too old to plan a rollback",
                hint="an administrator installed it: update it, or run this without --dry-run",
                code=Code.UNSUPPORTED,
            ) from error
        raise


def outcome(request: RollbackRequest, board: Board, kind: str, trace: Trace, started: float) -> BoardOutcome:
    """The outcome of one board."""
    return BoardOutcome(
        board=board.name,
        outcome=kind,
        model=request.model,
        release=trace.release,
        current=trace.current,
        guard=trace.guard,
        steps=tuple(trace.steps),
        seconds=round(time.monotonic() - started, 3),
        simulated=trace.facts.simulated,
    )


def failed(
    request: RollbackRequest, board: Board, error: EdgewrightError, trace: Trace, started: float
) -> BoardOutcome:
    """The outcome of a board that ended with an error."""
    ended = outcome(request, board, kind_of(error, trace), trace, started)
    return msgspec.structs.replace(ended, code=error.code, message=error.message, hint=error.hint)
