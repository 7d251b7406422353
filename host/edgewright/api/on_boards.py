"""Opens a session on each board in parallel, does one thing there, and collects results and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edgewright.api.answer import Answer
from edgewright.api.arguments import boards_of
from edgewright.api.callbacks import guarded, guarded_early, one_at_a_time
from edgewright.connect.session import Limits, Session, open_session
from edgewright.deployments.executor import PARALLEL as PARALLEL
from edgewright.deployments.executor import FanOut
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.wire.transport import AskPassword

T = TypeVar("T")


def on_boards(
    fleet: Fleet,
    stage: str,
    work: Callable[[Board, Session, Progress], T],
    *,
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
    limits: Limits | None = None,
    early: Callable[[list[Answer[T]]], None] | None = None,
) -> list[Answer[T]]:
    """Runs `work` with an open session on every board of a fleet; returns the answers in the fleet's order.

    After a Ctrl-C, the progress callback that `work` gets raises Aborted: each board finishes its step and begins no other.

    Args:
        stage: the stage that the progress reports before and after it connects to a board.
        limits: limits of the sessions; None: the default ones.
        early: called with the answers so far, without duplicates, while slow boards still work.
    """
    report, ask = guarded(progress), one_at_a_time(ask_password)

    def one(board: Board) -> Answer[T]:
        fan_out.watched(ProgressEvent(stage=stage, board=board.name))
        with open_session(board, fleet, ask_password=ask, progress=report, limits=limits) as session:
            fan_out.watched(ProgressEvent(stage=stage, board=board.name))
            value = work(board, session, fan_out.watched)
            return Answer(board, value, None, session.simulated(), session.greeting.board_id)

    def failed(board: Board, error: EdgewrightError) -> Answer[T]:
        return Answer(board, None, error)

    fan_out: FanOut[Answer[T]] = FanOut(one, failed, parallel=parallel, progress=report)
    fan_out.early = guarded_early(early)
    return fan_out.run(boards_of(fleet))
