"""Results of `deploy`, `rollback` and `history`."""

from __future__ import annotations

from typing import Any

import msgspec

from edgewright.api.results import DeployResult as DeployResult
from edgewright.api.results import RollbackResult as RollbackResult
from edgewright.nouns.base import Noun
from edgewright.nouns.outcome import BoardOutcome


class Event(Noun, frozen=True, kw_only=True):
    """A deployment or rollback on one board.

    Attributes:
        at: ISO 8601, UTC.
        document: the board's full outcome; null if this version cannot read it.
    """

    id: int
    at: str
    action: str
    fleet: str
    board: str
    model: str
    version: str
    release: str
    artifact: str
    outcome: str
    message: str
    document: BoardOutcome | None


class HistoryResult(Noun, frozen=True, kw_only=True):
    """`edgewright history`: events, newest first."""

    events: tuple[Event, ...]


class HistoryShowResult(Noun, frozen=True, kw_only=True):
    """`edgewright history show`: one event, or all events of one deployment, in the order of the boards."""

    events: tuple[Event, ...]


def event(row: dict[str, Any]) -> Event:
    """Converts a row of the history to a record."""
    try:
        document = msgspec.convert(row["document"], BoardOutcome, strict=False)
    except msgspec.ValidationError:  # several versions may share one database
        document = None
    return Event(**{**row, "document": document})
