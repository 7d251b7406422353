"""This machine itself, without SSH."""

from __future__ import annotations

from edgewright.connect.local import LocalTransport
from edgewright.connect.transport import AskPassword, Transport
from edgewright.connect.transport_kind import TransportKind
from edgewright.nouns.board import Board, Fleet


def connect(board: Board, fleet: Fleet, ask_password: AskPassword | None) -> Transport:  # noqa: ARG001
    """The shell of this machine."""
    return LocalTransport()


TRANSPORT = TransportKind(name="local", connect=connect)
