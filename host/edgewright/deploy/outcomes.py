"""How a board ended: its outcome, from what was traced and from the error that ended it."""

from __future__ import annotations

import time

import msgspec

from edgewright.deploy.board_record import Trace
from edgewright.errors import Aborted, BoardError, Code, EdgewrightError, GateRefused, LeftAtWork, Unreachable
from edgewright.nouns import outcome as words
from edgewright.nouns.board import Board
from edgewright.nouns.interface import interface_of
from edgewright.nouns.outcome import BoardOutcome
from edgewright.store.history import History

REVERTED_BY_BOARD = (Code.HOOK_FAILED, Code.REVERTED)  # after these the board has put its old release back


def kind_of(error: EdgewrightError, trace: Trace) -> str:
    """The outcome's word for an error."""
    if isinstance(error, GateRefused):
        return words.REFUSED
    if isinstance(error, Aborted):
        return words.ABORTED
    if isinstance(error, LeftAtWork) or (trace.activating and not isinstance(error, BoardError)):
        return words.UNKNOWN
    if isinstance(error, Unreachable):
        return words.UNREACHABLE
    if isinstance(error, BoardError) and error.code in REVERTED_BY_BOARD:
        return words.REVERTED
    return words.FAILED


def outcome_of(board: Board, model: str, kind: str, trace: Trace) -> BoardOutcome:
    """The outcome of a board from what was traced."""
    manifest = trace.artifact.manifest if trace.artifact else None
    return BoardOutcome(
        board=board.name,
        outcome=kind,
        model=model,
        release=trace.release,
        current=trace.current,
        profile=trace.profile.name if trace.profile else board.profile or "",
        target=manifest.target if manifest else "",
        precision=manifest.precision if manifest else "",
        artifact=trace.artifact.id if trace.artifact else "",
        runtime=trace.runtime,
        guard=trace.guard,
        checks=tuple(trace.checks),
        interface=interface_of(manifest) if manifest else None,
        measurement=trace.measurement,
        incumbent=trace.incumbent,
        steps=tuple(trace.steps),
        sent_bytes=trace.sent_bytes,
        seconds=round(time.monotonic() - trace.started, 3),
        simulated=trace.facts.simulated,
        board_id=trace.board_id,
        deployment=trace.deployment,
    )


def failed(board: Board, model: str, error: EdgewrightError, trace: Trace) -> BoardOutcome:
    """The outcome of a board that ended with an error."""
    ended = outcome_of(board, model, kind_of(error, trace), trace)
    return msgspec.structs.replace(ended, code=error.code, message=error.message, hint=error.hint)


def recorded(
    history: History, action: str, fleet: str, version: str, outcomes: list[BoardOutcome]
) -> list[BoardOutcome]:
    """The outcomes, kept in the history; a history that fails must not lose them: each says so then."""
    try:
        history.record(action, fleet, version, outcomes)
    except EdgewrightError as error:
        return [not_kept(outcome, error) for outcome in outcomes]
    return outcomes


def not_kept(outcome: BoardOutcome, error: EdgewrightError) -> BoardOutcome:
    """The outcome with why the history does not have it."""
    message = "; ".join(filter(None, (outcome.message, f"not kept: {error.message}")))
    return msgspec.structs.replace(outcome, message=message, hint=outcome.hint or error.hint)
