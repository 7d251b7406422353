"""SSH."""

from __future__ import annotations

from edgewright.connect.ssh import client, config, pins
from edgewright.nouns.board import Board, Fleet
from edgewright.wire.transport import AskPassword, Transport
from edgewright.wire.transport_kind import TransportKind


def connect(board: Board, fleet: Fleet, ask_password: AskPassword | None) -> Transport:
    """Logs in, by way of the board's jump hosts; every host key has to be pinned."""
    endpoint = config.endpoint(board, client.lookup())
    return client.connect(endpoint, pins.pin_of(board, fleet), ask_password)


TRANSPORT = TransportKind(name="ssh", connect=connect, host_keys=True)
