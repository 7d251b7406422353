"""TransportKind: one way to reach boards."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.wire.transport import AskPassword, Transport


class TransportKind(Noun, frozen=True, kw_only=True):
    """A way to reach boards. A board's address in the fleet file names it: `<name>:<its own part>`; SSH addresses have no such prefix.

    Attributes:
        connect: `connect(board, fleet, ask_password)` returns the `Transport`. Raises Unreachable, AuthError, TrustError.
        alone: nothing follows the colon, as there is only one such board.
        host_keys: boards present a host key, which users pin; the board's identity is then pinned and checked too.
    """

    name: str
    connect: Callable[[Board, Fleet, AskPassword | None], Transport]
    alone: bool = False
    host_keys: bool = False
