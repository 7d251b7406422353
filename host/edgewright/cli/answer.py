"""Answer: what one board gave to a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from edgewright.cli.results.answers import BoardAnswer
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board
from edgewright.nouns.document import report

T = TypeVar("T")


def mark(simulated: tuple[str, ...]) -> str:
    """Marks a board of which facts were substituted."""
    return " (simulated)" if simulated else ""


class Answer(Generic[T]):
    """What one board gave: a value or an error.

    Attributes:
        simulated: facts of the board that were substituted.
        board_id: the id of the board that answered, empty where none did.
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

    @property
    def title(self) -> str:
        """The board's name, marked where it is not what it says it is."""
        return self.board.name + mark(self.simulated)

    def record(self, of: Callable[[T], Any]) -> BoardAnswer[Any]:
        """For JSON: the value as a record, or the error."""
        if self.error is not None:
            return BoardAnswer(board=self.board.name, error=report(self.error))
        value = None if self.value is None else of(self.value)
        return BoardAnswer(board=self.board.name, simulated=self.simulated, result=value)
