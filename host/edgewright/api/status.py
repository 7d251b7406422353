"""status: what runs on boards, and how it compares with the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from edgewright.api.answer import Answer
from edgewright.api.history_notes import notes_of
from edgewright.api.on_boards import PARALLEL, on_boards
from edgewright.api.results import BoardProblem, StatusResult
from edgewright.connect.agent.versions import another_agent, problem, whole_status
from edgewright.connect.session import LOOKING, Session
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.progress import Progress
from edgewright.wire.answers import Status
from edgewright.wire.transport import AskPassword


def status(
    fleet: Fleet,
    *,
    verify: bool = False,
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
    early: Callable[[StatusResult], None] | None = None,
) -> StatusResult:
    """Reports what runs on the boards of a fleet, and where that differs from the history.

    Args:
        verify: also hash the files of all releases.
        parallel: boards at once.
        ask_password: called with a prompt for a password or passphrase; without it a board that needs one is refused.
        progress: called with each event.
        early: called with the boards that have answered while slow ones still work; each board at most once.

    Returns:
        An answer for each board, or its error: a board's failure never raises.
    """
    problems: dict[str, BoardProblem] = {}

    def read(board: Board, session: Session, _: object) -> Status:
        found = whole_status(session, verify=verify)
        if found.problem:
            message, hint = problem(found.problem, board.name, another_agent(session))
            problems[board.name] = BoardProblem(board=board.name, message=message, hint=hint)
        return found

    def part(answers: Sequence[Answer[Status]]) -> StatusResult:
        names = [answer.board.name for answer in answers]
        return StatusResult(
            boards=tuple(answer.record(lambda found: found) for answer in answers),
            problems=tuple(problems[name] for name in names if name in problems),
        )

    answers = on_boards(
        fleet, "status", read, parallel=parallel, ask_password=ask_password, progress=progress,
        limits=LOOKING, early=None if early is None else lambda found: early(part(found)),
    )  # fmt: skip
    known = notes_of(answers, fleet.name)
    return msgspec.structs.replace(
        part(answers),
        accepted=known.accepted,
        deployments=known.deployments,
        disagreements=known.disagreements,
        history_silent=known.silent,
    )
