"""Looks up the host keys that a fleet has pinned, and those that `known_hosts` files revoke, for a login."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.config import trust as trusts
from edgewright.connect.ssh import known_hosts
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import key_bytes
from edgewright.errors import Code, TrustError
from edgewright.nouns.board import Board, Fleet, Pin, TrustFile

# returns every pinned `<type> <base64>` of an endpoint, at least one; raises TrustError if there is none
PinOf = Callable[[Endpoint], tuple[str, ...]]


def pin_of(board: Board, fleet: Fleet) -> PinOf:
    """A function that returns the pinned host keys of a board or of a jump host before it."""
    trust = trusts.load(fleet)

    def find(endpoint: Endpoint) -> tuple[str, ...]:
        pin = of_endpoint(trust, board, endpoint)
        if pin is None:
            raise TrustError(
                f"the host key of {endpoint.label} ({endpoint.host}) is not pinned",
                hint=f"edgewright fleet trust {board.name}",
                code=Code.HOST_KEY_UNKNOWN,
            )
        for text in pin.host_keys:
            key_bytes(text)
        return pin.host_keys

    return find


def of_endpoint(trust: TrustFile, board: Board, endpoint: Endpoint) -> Pin | None:
    """The pin of a board or of a jump host before it; None if there is none."""
    return of_host(trust, endpoint.host) if endpoint.jump else trust.boards.get(board.name)


def of_host(trust: TrustFile, host: str) -> Pin | None:
    """The pin of a jump host; upper and lower case of its name are the same."""
    return next((pin for name, pin in trust.hosts.items() if name.lower() == host.lower()), None)


def not_revoked(endpoint: Endpoint, pinned: tuple[str, ...]) -> tuple[str, ...]:
    """The pinned keys that no `known_hosts` file revokes; raises TrustError if there is none left."""
    refused = {entry.key for entry in known_hosts.revoked(endpoint)}
    valid = tuple(text for text in pinned if text not in refused)
    if not valid:
        known_hosts.refuse_revoked(endpoint, pinned[0])
    return valid
