"""A board's part of a result: its answer, or the error that prevented one."""

from __future__ import annotations

from typing import Generic, TypeVar

from edgewright.nouns.base import Noun
from edgewright.nouns.document import ErrorReport

T = TypeVar("T")


class BoardAnswer(Noun, Generic[T], frozen=True, kw_only=True):
    """What one board answered.

    Attributes:
        simulated: facts of the board that were substituted.
        error: why there is no result.
        result: null where there is an error, and where a command has nothing to report.
    """

    board: str
    simulated: tuple[str, ...] = ()
    error: ErrorReport | None = None
    result: T | None = None
