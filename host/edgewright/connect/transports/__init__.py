"""The ways to reach boards, a file each, and which one a board's address names."""

from __future__ import annotations

import ipaddress

from edgewright.errors import UsageError
from edgewright.nouns.board import Board
from edgewright.plugins import Unknown
from edgewright.records import Records
from edgewright.wire.transport_kind import TransportKind

TRANSPORTS: Records[TransportKind] = Records(
    "edgewright.transports", "transport", __name__, "TRANSPORT", TransportKind
)
_DEFAULT = "ssh"


def transport_of(board: Board) -> TransportKind:
    """The transport of a board. Raises UsageError as `kind_of` does."""
    return kind_of(board.address)


def kind_of(address: str) -> TransportKind:
    """The transport that an address names.

    Raises:
        UsageError: it names a plug-in's that cannot be used, or has a rest that its transport does not take.
    """
    kind = TRANSPORTS[named_by(address)]
    if kind.alone and address != f"{kind.name}:":
        raise UsageError(f"not an address: {address}", hint=f"nothing follows the colon of `{kind.name}:`")
    return kind


def named_by(address: str) -> str:
    """The name of the transport that an address begins with; SSH's for host names and IP addresses."""
    name, colon, _ = address.partition(":")
    if not colon or _is_ip(address):
        return _DEFAULT
    try:
        TRANSPORTS.entry(name)
    except Unknown:
        return _DEFAULT
    return name


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
