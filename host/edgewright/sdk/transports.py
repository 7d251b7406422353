"""Transports: their record, the protocols of a link to a board, its errors, and the link to this machine."""

from __future__ import annotations

from edgewright.errors import AuthError, TrustError, Unreachable
from edgewright.nouns.board import Board, Fleet
from edgewright.wire.local_machine import LocalTransport
from edgewright.wire.transport import AskPassword, Channel, Ended, Log, Transport
from edgewright.wire.transport_kind import TransportKind

__all__ = [
    "AskPassword",
    "AuthError",
    "Board",
    "Channel",
    "Ended",
    "Fleet",
    "LocalTransport",
    "Log",
    "Transport",
    "TransportKind",
    "TrustError",
    "Unreachable",
]
