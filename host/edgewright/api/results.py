"""Results over boards: the functions return them, and the command line prints them with `--json`."""

from __future__ import annotations

from typing import Generic, TypeVar

from edgewright.api.history_notes import Disagreement, HistoryNotes
from edgewright.errors import Exit
from edgewright.nouns.base import Noun
from edgewright.nouns.document import ErrorReport
from edgewright.nouns.measurement import Measurement
from edgewright.nouns.outcome import BoardOutcome, exit_code
from edgewright.store.journal import Unfinished, this_host
from edgewright.wire.answers import Status

T = TypeVar("T")


class BoardAnswer(Noun, Generic[T], frozen=True, kw_only=True):
    """One board's answer.

    Attributes:
        simulated: facts of the board that were substituted.
        error: why there is no result.
        result: null if there is an error, or if the command has nothing to report.
    """

    board: str
    simulated: tuple[str, ...] = ()
    error: ErrorReport | None = None
    result: T | None = None


class DeployResult(Noun, frozen=True, kw_only=True):
    """`edgewright deploy`: an outcome for each board."""

    model: str
    outcomes: tuple[BoardOutcome, ...]

    @property
    def ok(self) -> bool:
        """Whether it succeeded on every board."""
        return exit_code(self.outcomes) == Exit.OK


class RollbackResult(Noun, frozen=True, kw_only=True):
    """`edgewright rollback`: an outcome for each board."""

    model: str
    outcomes: tuple[BoardOutcome, ...]

    @property
    def ok(self) -> bool:
        """Whether it succeeded on every board."""
        return exit_code(self.outcomes) == Exit.OK


class BoardMeasurements(Noun, frozen=True, kw_only=True):
    """The measurements on a board, one for each release."""

    measurements: tuple[Measurement, ...]


class BenchResult(Noun, frozen=True, kw_only=True):
    """`edgewright bench`.

    Attributes:
        not_kept: why the measurements are not in the history; null if they are.
    """

    boards: tuple[BoardAnswer[BoardMeasurements], ...]
    not_kept: ErrorReport | None = None

    @property
    def ok(self) -> bool:
        """Whether every board was measured."""
        return all(board.error is None for board in self.boards)


class BoardProblem(Noun, frozen=True, kw_only=True):
    """A part of a board's state that its agent could not read, and what to do."""

    board: str
    message: str
    hint: str


class StatusResult(Noun, frozen=True, kw_only=True):
    """`edgewright status`.

    Attributes:
        problems: boards whose state cannot be read completely.
        accepted: a line per current release that was deployed although it changed the interface.
        deployments: the unfinished deployments of this fleet.
        disagreements: boards whose current release is not the one in the history.
        history_silent: the history failed or took too long, so the previous three are empty.
    """

    boards: tuple[BoardAnswer[Status], ...]
    problems: tuple[BoardProblem, ...] = ()
    accepted: tuple[str, ...] = ()
    deployments: tuple[Unfinished, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    history_silent: bool = False

    @property
    def ok(self) -> bool:
        """Whether every board answered, its state can be read, and no files of its releases are missing or changed."""
        return all(board.error is None for board in self.boards) and not self.damaged

    @property
    def damaged(self) -> bool:
        """Whether any board's state cannot be read, or any files of a release are missing or changed."""
        return bool(self.problems) or any(board.result and board.result.damage for board in self.boards)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the history adds, as lines for people."""
        known = HistoryNotes(
            accepted=self.accepted,
            deployments=self.deployments,
            disagreements=self.disagreements,
            silent=self.history_silent,
            host=this_host(),
        )
        return tuple(known.lines())
