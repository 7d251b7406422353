"""Answer: one board's answer to a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from edgewright.api.results import BoardAnswer
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board
from edgewright.nouns.document import report

T = TypeVar("T")
U = TypeVar("U")


def mark(simulated: tuple[str, ...]) -> str:
    """The mark of a board whose facts were substituted; empty for other boards."""
    return " (simulated)" if simulated else ""


class Answer(Generic[T]):
    """One board's answer: a value or an error.

    Attributes:
        simulated: facts of the board that were substituted.
        board_id: the id of the board that answered; empty if none did.
    """

    def __init__(
        self,
        board: Board,
        value: T | None,
        error: EdgewrightError | None,
        simulated: tuple[str, ...] = (),
        board_id: str = "",
    ) -> None:
        self.board_id = board_id
        self.board = board
        self.value = value
        self.error = error
        self.simulated = simulated

    def record(self, of: Callable[[T], U]) -> BoardAnswer[U]:
        """The answer as a record, with `of` applied to the value."""
        if self.error is not None:
            return BoardAnswer(board=self.board.name, error=report(self.error))
        value = None if self.value is None else of(self.value)
        return BoardAnswer(board=self.board.name, simulated=self.simulated, result=value)
