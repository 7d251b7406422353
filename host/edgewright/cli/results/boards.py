"""Results of commands that put one request to each board."""

from __future__ import annotations

from edgewright.api.results import BenchResult as BenchResult
from edgewright.api.results import BoardAnswer
from edgewright.nouns.base import Noun
from edgewright.nouns.inference import InferenceRecord
from edgewright.wire.answers import Repaired, WasReset


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
        in_use: what no release needs but a running session still uses.
    """

    removed: tuple[str, ...]
    in_use: tuple[str, ...] = ()
    freed_bytes: int


class FleetPruneResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet prune`."""

    dry_run: bool
    boards: tuple[BoardAnswer[BoardPrune], ...]


class FleetRepairResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet repair`: what was repaired on each board, or would be, and what needs manual repair."""

    dry_run: bool
    boards: tuple[BoardAnswer[Repaired], ...]


class FleetResetResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet reset`: the damaged releases of each board, which were not accepted."""

    boards: tuple[BoardAnswer[WasReset], ...]
