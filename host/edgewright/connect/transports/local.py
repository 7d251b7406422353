"""The local transport: this machine, without SSH."""

from __future__ import annotations

from edgewright.nouns.board import Board, Fleet
from edgewright.wire.local_machine import LocalTransport
from edgewright.wire.transport import AskPassword, Transport
from edgewright.wire.transport_kind import TransportKind


def connect(board: Board, fleet: Fleet, ask_password: AskPassword | None) -> Transport:  # noqa: ARG001
    """Opens a shell on this machine."""
    return LocalTransport()


TRANSPORT = TransportKind(name="local", connect=connect, alone=True)
