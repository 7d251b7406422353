"""What counts: when a fault is real, and when a conversion is right. Shares are in permille."""

from __future__ import annotations

from truth.store import Fault, Key, Sound

REAL, COSTS = 20, 10  # a real fault changes more decisions, or costs more accuracy
LITTLE, LOST = 50, 20  # a right conversion changes no more decisions, or loses no more accuracy
_PARTLY = (
    "boxes",
)  # their labels cover only one of several decisions: keeping the accuracy does not make them right


def real(row: Fault) -> bool:
    """Whether a fault does damage."""
    return row.changed > REAL or (row.lost or 0) > COSTS


def slight(row: Fault) -> bool:
    """Whether a fault changes some decisions, but too few to be real."""
    return row.changed > 0 and not real(row)


def right(key: Key, row: Sound) -> bool:
    """Whether an artifact without a planted fault decides as its source does."""
    accurate = row.lost is not None and row.lost <= LOST and key.model not in _PARTLY
    return accurate or 0 <= row.changed <= LITTLE
