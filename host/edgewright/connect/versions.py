"""Errors for a board whose agent or state has another version than this edgewright."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.connect.clean import clean
from edgewright.errors import BoardError, ProtocolError
from edgewright.wire import commands
from edgewright.wire.answers import StatusModel
from edgewright_agent import protocol

if TYPE_CHECKING:
    from edgewright.connect.session import Session

PROBLEMS = {
    "newer-schema": ("a newer edgewright wrote the state of this board", "upgrade this one"),
    "state-lost": (
        "both copies of the board's state are damaged",
        "`edgewright fleet reset` accepts what `current` points to",
    ),
}


def another_wire(spoken: object) -> ProtocolError:
    """The error for a greeting in another version of the wire."""
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
    """The error of an agent that may not know what it was asked. `agent`: its version."""
    unknown = "does not take this argument" in refused.message or "needs an argument" in refused.message
    damaged = refused.code == "release-damaged" and "manifest is damaged" in refused.message
    older = refused.code == "unknown-command" or (refused.code == "bad-argument" and unknown)
    if not (older or damaged or (refused.code == "newer-schema" and "manifest" in refused.message)):
        return refused
    hint = f"an administrator installed its agent, {agent}, which is not of this version: have this one's installed"
    if damaged:  # the first agents say so of manifests that they do not understand
        hint = f"if a newer edgewright deployed it: {hint}; else deploy it again"
    return BoardError(refused.message, hint=hint, code=refused.code)


def models(session: Session) -> dict[str, StatusModel]:
    """The models on a board, as `status` names them.

    Raises:
        BoardError: `newer-schema`, `state-lost`: there may be some, and nobody here can tell.
    """
    status = session.call(commands.Status())
    if status.problem:
        code = status.problem
        message, hint = PROBLEMS.get(
            code, (f"the board's state cannot be used: {code}", "see `edgewright logs`")
        )
        raise BoardError(message, hint=hint, code=code)
    return status.models
