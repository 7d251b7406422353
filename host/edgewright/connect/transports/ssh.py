"""SSH."""

from __future__ import annotations

from edgewright.connect import ssh, ssh_config, ssh_pins
from edgewright.connect.transport import AskPassword, Transport
from edgewright.connect.transport_kind import TransportKind
from edgewright.nouns.board import Board, Fleet


def connect(board: Board, fleet: Fleet, ask_password: AskPassword | None) -> Transport:
    """Logs in, by way of the board's jump hosts; every host key has to be pinned."""
    endpoint = ssh_config.endpoint(board, ssh.lookup())
    return ssh.connect(endpoint, ssh_pins.pin_of(board, fleet), ask_password)


TRANSPORT = TransportKind(name="ssh", connect=connect, host_keys=True)
