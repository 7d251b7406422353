"""What an SSH server offers before the login, and the error that says which kind of algorithm it shares with nobody here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import ALGORITHMS
from edgewright.errors import Code, EdgewrightError, TrustError, Unreachable
from edgewright.nouns.base import Noun

COOKIE = 16  # bytes before the lists of a KEXINIT message (RFC 4253, 7.1)
MOST_NAMES, MOST_LETTERS = 6, 48  # of a server's list in a message
MOST_SUGGESTED = 3  # algorithms in a hint
NOT_ALGORITHMS = ("ext-info-", "kex-strict-")  # extensions that servers list among the key exchanges
CHANGED = (
    "either it was set up again, or another machine answers in its place; "
    "find out which, then: edgewright fleet trust {name} --replace"
)


class NoCommonAlgorithm(Unreachable):
    """The server answers, but the SSH library lacks every algorithm of one kind that it offers."""


class Kind(Noun, frozen=True, kw_only=True):
    """A kind of algorithm that both ends must share.

    Attributes:
        name: for messages.
        keyword: the line of `sshd_config` that lists it.
        lists: indexes of its lists in a KEXINIT message, one per direction.
    """

    name: str
    keyword: str
    lists: tuple[int, ...]


KEX = Kind(name="key exchange", keyword="KexAlgorithms", lists=(0,))
HOST_KEY = Kind(name="host key type", keyword="HostKeyAlgorithms", lists=(1,))
CIPHER = Kind(name="cipher", keyword="Ciphers", lists=(2, 3))
MAC = Kind(name="MAC", keyword="MACs", lists=(4, 5))
COMPRESSION = Kind(name="compression", keyword="Compression", lists=(6, 7))


class Offer:
    """The lists of algorithms that a server sent.

    Attributes:
        lists: as in its KEXINIT message; empty before that message.
    """

    def __init__(self, transport: Any) -> None:
        self.lists: list[list[str]] = []
        self._options = transport.get_security_options()
        self._parse = transport._parse_kex_init
        transport._parse_kex_init = self._record

    def _record(self, message: Any) -> None:
        """Keeps the lists, since paramiko only says that they do not suit it."""
        if not self.lists:  # the first exchange decides
            self.lists = read_lists(message.get_remainder())
        self._parse(message)

    def missing(self) -> tuple[Kind, list[str], Sequence[str]] | None:
        """The first kind without a common algorithm, what the server offers, and what this machine has."""
        ours = self._options
        kinds = (
            (KEX, ours.kex),
            (HOST_KEY, ours.key_types),
            (CIPHER, ours.ciphers),
            (MAC, ours.digests),
            (COMPRESSION, ours.compression),
        )
        for kind, here in kinds:
            for index in kind.lists:
                there = self.lists[index] if index < len(self.lists) else []
                if self.lists and not set(here) & set(there):
                    return kind, there, here
        return None


def read_lists(data: bytes) -> list[list[str]]:
    """The eight lists of algorithms in a KEXINIT message; those that are cut off are empty."""
    lists, at = [], COOKIE
    for _ in range(8):
        size = int.from_bytes(data[at : at + 4], "big")
        text = data[at + 4 : at + 4 + size].decode("ascii", "replace")
        lists.append([name for name in text.split(",") if name and not name.startswith(NOT_ALGORITHMS)])
        at += 4 + size
    return lists


def refusal(endpoint: Endpoint, offer: Offer, error: Exception) -> EdgewrightError:
    """The error for a server with which the SSH library has no algorithm in common."""
    where = f"{endpoint.label} ({endpoint.host})"
    found = offer.missing()
    if found is None:
        return NoCommonAlgorithm(f"no common SSH algorithms with {where}: {error}", hint="update its sshd")
    kind, there, here = found
    if kind is HOST_KEY and set(there) & set(ALGORITHMS):
        return other_types(endpoint, here, there)
    return NoCommonAlgorithm(
        f"no common {kind.name} with {where}: it offers only {listed(there)}",
        hint=f"add {' or '.join(suggested(kind, here))} to `{kind.keyword}` in its sshd_config"
        f"{' (`ssh-keygen -A` makes missing keys)' if kind is HOST_KEY else ''} and restart its sshd,"
        " or update its SSH server",
    )


def other_types(endpoint: Endpoint, pinned: Sequence[str], offered: Sequence[str]) -> TrustError:
    """The error for a server without a host key of the pinned types."""
    return TrustError(
        f"{endpoint.label} ({endpoint.host}) has no host key of the pinned type any more: "
        f"pinned {listed(pinned)}, offered {listed(offered)}",
        hint=CHANGED.format(name=endpoint.board),
        code=Code.HOST_KEY_CHANGED,
    )


def unsupported(endpoint: Endpoint, pinned: Sequence[str]) -> NoCommonAlgorithm:
    """The error for a host whose pinned keys (`<type> <base64>`) are all of types that the SSH library lacks."""
    kinds = list(dict.fromkeys(text.split()[0] for text in pinned))
    return NoCommonAlgorithm(
        f"the host key that is pinned for {endpoint.label} has an unsupported type: {listed(kinds)}",
        hint=f"pin a key of another type: edgewright fleet trust {endpoint.board} --replace",
    )


def suggested(kind: Kind, here: Sequence[str]) -> Sequence[str]:
    """A few of this machine's algorithms; pins do not limit the types of host keys to suggest."""
    return (ALGORITHMS if kind is HOST_KEY else here)[:MOST_SUGGESTED]


def listed(names: Sequence[str]) -> str:
    """Names for a message: few, short and printable, since a server may send anything."""
    shown = ["".join(c if " " < c <= "~" else "?" for c in name[:MOST_LETTERS]) for name in names]
    more = f" and {len(shown) - MOST_NAMES} more" if len(shown) > MOST_NAMES else ""
    return (", ".join(shown[:MOST_NAMES]) or "nothing") + more
