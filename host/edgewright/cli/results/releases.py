"""Results of `deploy`, `rollback` and `history`."""

from __future__ import annotations

from typing import Any

import msgspec

from edgewright.nouns.base import Noun
from edgewright.nouns.outcome import BoardOutcome


class DeployResult(Noun, frozen=True, kw_only=True):
    """`edgewright deploy`: an outcome for each board."""

    model: str
    outcomes: tuple[BoardOutcome, ...]


class RollbackResult(Noun, frozen=True, kw_only=True):
    """`edgewright rollback`: an outcome for each board."""

    model: str
    outcomes: tuple[BoardOutcome, ...]


class Event(Noun, frozen=True, kw_only=True):
    """A deployment or rollback on one board.

    Attributes:
        at: ISO 8601, UTC.
        document: the board's outcome in full; null where this version cannot read it.
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


def event(row: dict[str, Any]) -> Event:
    """A row of the history as a record."""
    try:
        document = msgspec.convert(row["document"], BoardOutcome, strict=False)
    except msgspec.ValidationError:  # a database that several versions share
        document = None
    return Event(**{**row, "document": document})
