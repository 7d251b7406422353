"""The SSH transport."""

from __future__ import annotations

from edgewright.connect.ssh import choice, config
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.nouns.board import Board, Fleet
from edgewright.wire.transport import AskPassword, Transport
from edgewright.wire.transport_kind import TransportKind


def connect(board: Board, fleet: Fleet, ask_password: AskPassword | None) -> Transport:
    """Logs in through the board's jump hosts; every host key must be pinned."""
    endpoint = config.endpoint(board, lookup())
    return choice.connect(board, fleet, endpoint, ask_password)


TRANSPORT = TransportKind(name="ssh", connect=connect, host_keys=True)
