"""The host keys that a fleet has pinned, as a login asks for them."""

from __future__ import annotations

from edgewright.config import trust as trust_file
from edgewright.connect.ssh import client
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import key_bytes
from edgewright.errors import Code, TrustError
from edgewright.nouns.board import Board, Fleet


def pin_of(board: Board, fleet: Fleet) -> client.PinOf:
    """What gives the pinned host key of a board and of the jump hosts before it."""
    trust = trust_file.load(fleet)

    def find(endpoint: Endpoint) -> str:
        pin = trust.hosts.get(endpoint.host) if endpoint.jump else trust.boards.get(board.name)
        if pin is None:
            raise TrustError(
                f"the host key of {endpoint.label} ({endpoint.host}) is not pinned",
                hint=f"edgewright fleet trust {board.name}",
                code=Code.HOST_KEY_UNKNOWN,
            )
        key_bytes(pin.host_key)
        return pin.host_key

    return find
