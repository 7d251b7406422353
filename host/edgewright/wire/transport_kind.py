"""TransportKind: one way to reach boards."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.wire.transport import AskPassword, Transport


class TransportKind(Noun, frozen=True, kw_only=True):
    """One way. A board's address in the fleet file names it: `<name>:<whatever it needs>`; SSH has no such beginning.

    Attributes:
        connect: `connect(board, fleet, ask_password)` gives the `Transport`. Raises Unreachable, AuthError, TrustError.
        alone: nothing follows the colon: there is one such board.
        host_keys: boards show a host key, which a person pins: the board's identity is pinned with it, and checked.
    """

    name: str
    connect: Callable[[Board, Fleet, AskPassword | None], Transport]
    alone: bool = False
    host_keys: bool = False
