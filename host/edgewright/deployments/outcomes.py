"""Derives a board's outcome from its trace and from the error that ended it."""

from __future__ import annotations

import time

import msgspec

from edgewright.deployments.board_record import Trace
from edgewright.errors import (
    Aborted,
    BoardError,
    Code,
    EdgewrightError,
    GateRefused,
    LeftAtWork,
    TooLate,
    Unreachable,
)
from edgewright.nouns.board import Board
from edgewright.nouns.interface import interface_of
from edgewright.nouns.outcome import ABORTED, FAILED, REFUSED, REVERTED, UNKNOWN, UNREACHABLE, BoardOutcome
from edgewright.store.history import History

REVERTED_BY_BOARD = (Code.HOOK_FAILED, Code.REVERTED)  # after these, the board has restored its old release


def kind_of(error: EdgewrightError, trace: Trace) -> str:
    """The kind of outcome for an error."""
    if isinstance(error, GateRefused) or error.code == Code.FAILED_BEFORE:  # the board may say it too
        return REFUSED
    if isinstance(error, Aborted):
        return ABORTED
    if isinstance(error, LeftAtWork) or (
        trace.activating and (isinstance(error, TooLate) or not isinstance(error, BoardError))
    ):
        return UNKNOWN
    if isinstance(error, Unreachable):
        return UNREACHABLE
    if isinstance(error, BoardError) and error.code in REVERTED_BY_BOARD:
        return REVERTED
    return FAILED


def outcome_of(board: Board, model: str, kind: str, trace: Trace) -> BoardOutcome:
    """The outcome of a board from its trace."""
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
    """Records the outcomes in the history and returns them; if the history fails, each outcome says so instead of getting lost."""
    try:
        history.record(action, fleet, version, outcomes)
    except EdgewrightError as error:
        return [not_kept(outcome, error) for outcome in outcomes]
    return outcomes


def not_kept(outcome: BoardOutcome, error: EdgewrightError) -> BoardOutcome:
    """The outcome with a note on why the history does not have it."""
    message = "; ".join(filter(None, (outcome.message, f"not kept: {error.message}")))
    return msgspec.structs.replace(outcome, message=message, hint=outcome.hint or error.hint)
