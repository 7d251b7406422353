"""Results of commands that ask each board one thing."""

from __future__ import annotations

from edgewright.cli.results.answers import BoardAnswer
from edgewright.nouns.base import Noun
from edgewright.nouns.inference import InferenceRecord
from edgewright.nouns.measurement import Measurement


class BoardMeasurements(Noun, frozen=True, kw_only=True):
    """What was measured on a board, a measurement for each release."""

    measurements: tuple[Measurement, ...]


class BenchResult(Noun, frozen=True, kw_only=True):
    """`edgewright bench`."""

    boards: tuple[BoardAnswer[BoardMeasurements], ...]


class InferResult(Noun, frozen=True, kw_only=True):
    """`edgewright infer`."""

    boards: tuple[BoardAnswer[InferenceRecord], ...]


class BoardLog(Noun, frozen=True, kw_only=True):
    """The last lines of an agent's log, as one text."""

    text: str


class LogsResult(Noun, frozen=True, kw_only=True):
    """`edgewright logs`."""

    boards: tuple[BoardAnswer[BoardLog], ...]


class BoardPrune(Noun, frozen=True, kw_only=True):
    """What pruning removed from a board, or would remove.

    Attributes:
        removed: `MODEL RELEASE`, or a path below the board's root folder.
        in_use: what no release needs, but a running session uses.
    """

    removed: tuple[str, ...]
    in_use: tuple[str, ...] = ()
    freed_bytes: int


class FleetPruneResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet prune`."""

    dry_run: bool
    boards: tuple[BoardAnswer[BoardPrune], ...]


class FleetResetResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet reset`; a board that was reset has neither an error nor a result."""

    boards: tuple[BoardAnswer[None], ...]
