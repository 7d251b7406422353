"""Reactivates a known-good release on boards, after verifying it there."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.connect.opener import Opener
from edgewright.connect.session import Session
from edgewright.deployments.board_record import Trace
from edgewright.deployments.executor import FanOut
from edgewright.deployments.incumbent import incumbent_of
from edgewright.deployments.outcomes import failed, outcome_of, recorded
from edgewright.deployments.transaction import Transaction, new_txn
from edgewright.errors import BoardError, Code, EdgewrightError
from edgewright.measure.threads import threads_to_run
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.outcome import COMMITTED, PLANNED, BoardOutcome
from edgewright.nouns.policy import DEADLINE_S
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.store.history import History
from edgewright.wire import commands
from edgewright.wire.transport import AskPassword


class RollbackRequest(Noun, frozen=True, kw_only=True):
    """A request for a rollback.

    Attributes:
        to: version or release; None is the known-good one before `current`.
        threads, accelerator: used to verify the release before it is activated again. Threads None takes the profile's.
    """

    fleet: Fleet
    boards: tuple[Board, ...]
    model: str
    to: str | None = None
    threads: int | None = None
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
    """Rolls a model back on boards and records each outcome as it happens; a board's failure never raises."""
    opener = Opener(request.fleet, ask_password, progress)

    def kept(outcome: BoardOutcome) -> BoardOutcome:
        progress(ProgressEvent(board=outcome.board, stage=outcome.outcome, detail=outcome.message))
        if request.dry_run:
            return outcome
        (found,) = recorded(history, "rollback", request.fleet.name, request.to or "", [outcome])
        return found

    def work(board: Board) -> BoardOutcome:
        return kept(rolled_back(board))

    def rolled_back(board: Board) -> BoardOutcome:
        trace = Trace()
        try:
            with opener(board) as session:
                trace.board_id = session.greeting.board_id
                kind = attempt(request, session, trace, lambda: opener(board), fan_out.watched)
            return outcome_of(board, request.model, kind, trace)
        except EdgewrightError as error:
            return failed(board, request.model, error, trace)

    def ended(board: Board, error: EdgewrightError) -> BoardOutcome:
        return kept(failed(board, request.model, error, Trace()))

    fan_out: FanOut[BoardOutcome] = FanOut(work, ended, parallel=request.parallel, progress=progress)
    return fan_out.run(request.boards)


def attempt(
    request: RollbackRequest,
    session: Session,
    trace: Trace,
    reopen: Callable[[], Session],
    progress: Progress,
) -> str:
    """One board's rollback; returns `committed` or `planned`."""
    step = ProgressEvent(
        stage="rollback", board=session.board.name, detail=request.to or "to the known-good one before"
    )
    progress(step)
    trace.facts = session.facts()
    trace.current = incumbent_of(session, request.model).release
    progress(step)  # the last chance to stop: the rest is one step
    txn = new_txn()
    command = commands.Rollback(
        model=request.model, to=request.to, txn=txn, deadline_s=request.deadline_s, unguarded=request.unguarded,
        threads=threads_to_run(session.board, trace.facts, request.threads), accelerator=request.accelerator,
        dry_run=request.dry_run,
    )  # fmt: skip
    if request.dry_run:
        trace.release = planned(session, command)
        trace.steps += [f"verify {trace.release}", "activate", "commit"]
        return PLANNED
    with Transaction(session, request.model, reopen, txn) as transaction:
        transaction.switch(command, trace)
    if not trace.release:  # the board's answer was lost: ask which release it activated
        with reopen() as again:
            trace.release = incumbent_of(again, request.model).release
    trace.current = trace.release
    return COMMITTED


def planned(session: Session, command: commands.Rollback) -> str:
    """The release that a rollback would activate, as the board reports; raises the board's refusal."""
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
