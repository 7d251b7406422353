"""The result of `status`: what runs on each board, as its agent reports it."""

from __future__ import annotations

from edgewright.cli.results.answers import BoardAnswer
from edgewright.nouns.base import Noun
from edgewright.wire.answers import Status


class StatusResult(Noun, frozen=True, kw_only=True):
    """`edgewright status`."""

    boards: tuple[BoardAnswer[Status], ...]
