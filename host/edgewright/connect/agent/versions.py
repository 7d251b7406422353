"""Errors for a board whose agent or state has another version than this edgewright."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.connect.agent import package
from edgewright.connect.agent.refusals import hint
from edgewright.connect.agent.sanitize import clean
from edgewright.errors import BoardError, Code, ProtocolError
from edgewright.wire import commands
from edgewright.wire.answers import About, Status, StatusModel
from edgewright_agent import protocol

if TYPE_CHECKING:
    from edgewright.connect.session import Session

PROBLEMS = {
    Code.NEWER_SCHEMA: "a newer edgewright wrote the state of this board",
    Code.STATE_LOST: "both copies of the board's state are damaged",
}


def another_wire(spoken: object) -> ProtocolError:
    """The error for a greeting with another version of the wire."""
    newer = isinstance(spoken, int) and spoken > protocol.VERSION
    hint = (
        "its agent is of a newer edgewright: upgrade this one"
        if newer
        else "an administrator installed its agent: have a newer one installed there"
    )
    return ProtocolError(
        f"the board speaks wire version {clean(spoken)!r}, not {protocol.VERSION}", hint=hint
    )


def of_another_agent(refused: BoardError, agent: str) -> BoardError:
    """The error of an agent that may not know the command or argument. `agent`: its version."""
    unknown = "does not take this argument" in refused.message or "needs an argument" in refused.message
    damaged = refused.code == Code.RELEASE_DAMAGED and "manifest is damaged" in refused.message
    older = refused.code == Code.UNKNOWN_COMMAND or (refused.code == Code.BAD_ARGUMENT and unknown)
    if not (older or damaged or refused.code == Code.NEWER_SCHEMA):
        return refused
    what = administrators(agent)
    if damaged:  # the first agents report this for manifests that they do not understand
        what = f"if a newer edgewright deployed it: {what}; else deploy it again"
    return BoardError(refused.message, hint=what, code=refused.code)


def administrators(agent: str) -> str:
    """The hint for an agent of another version."""
    return f"an administrator installed its agent, {agent}, which is not of this version: have this one's installed"


def another_agent(session: Session) -> str:
    """The version of a board's agent if it is not this installation's, else empty."""
    ours = session.greeting.sha256 == package.package().sha256
    return "" if ours else session.greeting.agent


def whole_status(session: Session, *, verify: bool) -> Status:
    """The answer of `status`, with the damaged files of releases; without them if an older agent does not look for them.

    Args:
        verify: also hash the files.
    """
    if verify:
        return session.call(commands.Status(verify=True), timeout_s=commands.READ)
    try:
        return session.call(commands.Status(files=True))
    except BoardError as error:
        if error.code != Code.BAD_ARGUMENT:
            raise
        return session.call(commands.Status())


def models(session: Session, status: Status | None = None) -> dict[str, StatusModel]:
    """The models on a board, as `status` lists them.

    Args:
        status: the board's answer, if it has been asked.

    Raises:
        BoardError: `newer-schema`, `state-lost`: there may be models, but they cannot be known.
    """
    status = status or session.call(commands.Status())
    if status.problem:
        message, hint = problem(status.problem, session.board.name, another_agent(session))
        raise BoardError(message, hint=hint, code=status.problem)
    return status.models


def problem(code: str, board: str, agent: str = "") -> tuple[str, str]:
    """What is wrong with a board's state, and what to do about it.

    Args:
        code: as in `status`.
        agent: the agent's version, if it is not this installation's.
    """
    if code == Code.NEWER_SCHEMA and agent:
        return PROBLEMS[Code.NEWER_SCHEMA], administrators(agent)
    for known, message in PROBLEMS.items():
        if code == known:
            return message, hint(code, About(), "status", board)
    return f"the board's state cannot be used: {code}", f"see `edgewright logs {board}`"
