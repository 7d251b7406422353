"""SSH host keys: their text, their fingerprints, and the types that edgewright supports."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

from edgewright.errors import TrustError
from edgewright.nouns.base import Noun

ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)  # the signature algorithms of host keys to request, the preferred one first


class HostKey(Noun, frozen=True, kw_only=True):
    """The public key that a host identifies itself with.

    Attributes:
        host: `address:port` of the host.
        type: such as `ssh-ed25519`.
        base64: the key's bytes.
        jump: the host is a jump host on the way to a board, not the board.
        odd: `known_hosts` files trust other keys for the host, but not this one: `ssh` would refuse it.
    """

    host: str
    type: str
    base64: str
    jump: bool = False
    odd: bool = False

    @property
    def text(self) -> str:
        """`<type> <base64>`, as stored in a pin."""
        return f"{self.type} {self.base64}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint as `ssh-keygen -l` shows it: `SHA256:` and the unpadded base64 of the digest."""
        return fingerprint(self.text)


def fingerprint(text: str) -> str:
    """The SHA256 fingerprint of `<type> <base64>`."""
    digest = hashlib.sha256(key_bytes(text)).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def key_bytes(text: str) -> bytes:
    """The bytes of `<type> <base64>`.

    Raises:
        TrustError: the text is not a host key.
    """
    try:
        kind, encoded = text.split()
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise TrustError(
            f"not a host key: {text[:40]!r}", hint="remove it from the trust file and pin it again"
        ) from None
    name = kind.encode("ascii", "replace")
    if not raw.startswith(len(name).to_bytes(4, "big") + name):
        raise TrustError(
            f"not a host key of type {kind}", hint="remove it from the trust file and pin it again"
        )
    return raw


def host_name(address: str, port: int) -> str:
    """`address:port`, with the address in brackets if it contains colons."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def algorithms(keys: Iterable[str]) -> tuple[str, ...]:
    """The supported algorithms that prove one of the keys (each `<type> <base64>`), the preferred one first."""
    kinds = {text.split()[0] for text in keys}
    return tuple(one for one in ALGORITHMS if one in kinds or (one.startswith("rsa-") and "ssh-rsa" in kinds))
