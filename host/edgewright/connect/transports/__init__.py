"""The ways to reach boards, one file each, and the choice of one by a board's address."""

from __future__ import annotations

from edgewright.config.fleet import is_ip
from edgewright.errors import EdgewrightError, Unreachable, UsageError
from edgewright.nouns.board import Board, Fleet
from edgewright.plugins import Unknown
from edgewright.records import Records
from edgewright.wire.transport import AskPassword, Transport
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
        UsageError: it names a plug-in's transport that cannot be loaded, or its remainder does not suit the transport.
    """
    kind = TRANSPORTS[named_by(address)]
    if kind.name == _DEFAULT and address.startswith(f"{_DEFAULT}:"):
        raise UsageError(f"not an address: {address}", hint=f"leave `{_DEFAULT}:` out")
    if kind.alone and address != f"{kind.name}:":
        raise UsageError(f"not an address: {address}", hint=f"nothing follows the colon of `{kind.name}:`")
    return kind


def linked(board: Board, fleet: Fleet, ask_password: AskPassword | None) -> Transport:
    """A transport to a board, of the kind that its address names. A plug-in's transport may fail in any way.

    Raises:
        AuthError, Unreachable, TrustError: raised by the transport.
        Failed: a plug-in's transport failed.
    """
    kind = transport_of(board)
    if not TRANSPORTS.plugin(kind.name):
        return kind.connect(board, fleet, ask_password)
    try:
        found = kind.connect(board, fleet, ask_password)
    except EdgewrightError:
        raise
    except OSError as error:
        raise Unreachable(
            f"{board.name} is not reached by the transport {kind.name}: {error.strerror or error}"
        ) from error
    except Exception as error:
        raise TRANSPORTS.failed(kind.name, f"connect: {type(error).__name__}: {error}") from error
    if not all(callable(getattr(found, name, None)) for name in ("run", "close")):
        raise TRANSPORTS.failed(kind.name, f"connect gave {type(found).__name__}, which is no Transport")
    return found


def named_by(address: str) -> str:
    """The name of the transport that an address starts with; SSH for host names and IP addresses."""
    name, colon, _ = address.partition(":")
    if not colon or is_ip(address):
        return _DEFAULT
    try:
        TRANSPORTS.entry(name)
    except Unknown:
        return _DEFAULT
    return name
