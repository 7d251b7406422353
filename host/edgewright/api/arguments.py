"""Checks arguments of callers: one value or several, and a fleet's boards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from edgewright.errors import Code, UsageError
from edgewright.nouns.board import Board, Fleet

StrPath = str | os.PathLike[str]
T = TypeVar("T")


def several(given: Sequence[T] | None) -> tuple[T, ...]:
    """The given values as a tuple. A single string or path is one value, not a sequence of letters; None is no value."""
    if isinstance(given, str | os.PathLike):
        return (given,)  # type: ignore[return-value] # a string also counts as a sequence of strings
    return tuple(given or ())


def boards_of(fleet: Fleet) -> tuple[Board, ...]:
    """The boards of a fleet.

    Raises:
        UsageError: the fleet has none: doing nothing must not look like a success.
    """
    if not fleet.boards:
        raise UsageError(
            f"the fleet {fleet.name} has no boards",
            hint="add one: `edgewright fleet add NAME ADDRESS`",
            code=Code.NO_BOARD,
        )
    return tuple(fleet.boards.values())
