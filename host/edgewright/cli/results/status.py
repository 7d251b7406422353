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
        accepted: a line a current release that was deployed although its interface was not its predecessor's.
        deployments: those of this fleet that are unfinished.
        disagreements: boards whose current release is not the one in the history.
        history_silent: the history failed or took too long: the three before are empty then.
    """

    boards: tuple[BoardAnswer[Status], ...]
    accepted: tuple[str, ...] = ()
    deployments: tuple[Unfinished, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    history_silent: bool = False
