"""SSH host keys: their text, their fingerprints, and the lines of OpenSSH's `known_hosts`."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from pathlib import Path

from edgewright.errors import TrustError
from edgewright.nouns.base import Noun

DEFAULT_PORT = 22


class HostKey(Noun, frozen=True, kw_only=True):
    """The public key that a host identifies itself with.

    Attributes:
        host: `address:port` that it belongs to.
        type: such as `ssh-ed25519`.
        base64: the key's bytes.
        jump: the host is a jump host on the way to a board, not the board.
    """

    host: str
    type: str
    base64: str
    jump: bool = False

    @property
    def text(self) -> str:
        """`<type> <base64>`, what a pin holds."""
        return f"{self.type} {self.base64}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: `SHA256:` and the unpadded base64 of the digest."""
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
    if not raw[4:].startswith(kind.encode("ascii", "replace")):
        raise TrustError(
            f"not a host key of type {kind}", hint="remove it from the trust file and pin it again"
        )
    return raw


def host_name(address: str, port: int) -> str:
    """`address:port`, the address in brackets where it has colons."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def known_keys(path: Path, address: str, port: int) -> list[HostKey]:
    """The keys of a host in a `known_hosts` file, hashed entries included; revoked ones are left out."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    name = address if port == DEFAULT_PORT else f"[{address}]:{port}"
    keys: list[str] = []
    revoked: set[str] = set()
    for line in lines:
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or line.lstrip().startswith("#") or not matches(fields[0], name):
            continue
        if marker == "@revoked":
            revoked.add(fields[2])
        elif not marker and fields[2] not in keys:
            keys.append(f"{fields[1]} {fields[2]}")
    host = host_name(address, port)
    found = [HostKey(host=host, type=text.split()[0], base64=text.split()[1]) for text in dict.fromkeys(keys)]
    return [key for key in found if key.base64 not in revoked]


def matches(patterns: str, name: str) -> bool:
    """Whether the first field of a `known_hosts` line names the host."""
    if patterns.startswith("|1|"):
        return matches_hash(patterns, name)
    found = False
    for pattern in patterns.split(","):
        plain = pattern.removeprefix("!").lower()
        # brackets are literal in known_hosts, a character class in fnmatch
        if fnmatch.fnmatchcase(name.lower(), plain.replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def matches_hash(field: str, name: str) -> bool:
    """Whether `|1|salt|hash` is the host's HMAC-SHA1."""
    try:
        salt, digest = (base64.b64decode(part) for part in field[3:].split("|"))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode("utf-8"), "sha1"), digest)
