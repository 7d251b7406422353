"""The result of `status`: what runs on each board, as its agent reports it."""

from __future__ import annotations

from edgewright.cli.history_notes import Disagreement
from edgewright.cli.results.answers import BoardAnswer
from edgewright.nouns.base import Noun
from edgewright.store.journal import Unfinished
from edgewright.wire.answers import Status


class StatusResult(Noun, frozen=True, kw_only=True):
    """`edgewright status`.

    Attributes:
        deployments: those of this fleet that are unfinished.
        disagreements: boards whose current release is not the one in the history.
    """

    boards: tuple[BoardAnswer[Status], ...]
    deployments: tuple[Unfinished, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
