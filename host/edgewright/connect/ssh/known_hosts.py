"""OpenSSH's `known_hosts` files, read as `ssh` reads them: which keys they trust for a host, and which they revoke."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import functools
import hmac
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import HostKey, fingerprint, key_bytes
from edgewright.errors import Code, TrustError
from edgewright.nouns.base import Noun

DEFAULT_PORT = 22
MAX_BYTES = 16 * 1024 * 1024  # of one file: more than 100,000 hosts
MAX_PATTERN = 1024  # characters; OpenSSH ignores longer ones too
REVOKED = "@revoked"
_BLANKS = re.compile(r"[ \t]+")
_WILDCARDS = re.compile(r"[*?]+")


class Entry(Noun, frozen=True, kw_only=True):
    """One line of a `known_hosts` file.

    Attributes:
        hosts: its first field: patterns of hosts, or the hash of one.
        key: `<type> <base64>`, as written.
        marker: `@revoked`, `@cert-authority`, or empty.
        path, line: where it is; lines count from 1.
    """

    hosts: str
    key: str
    marker: str
    path: Path
    line: int


def trusted(endpoint: Endpoint) -> list[HostKey]:
    """The keys that `ssh` would accept from a host without a question, in the order of the files.

    A host on another port than 22 has the keys of `[host]:port`; if there are none, those of `host`.
    Certificate authorities are not supported.

    Raises:
        TrustError: a file cannot be read, or is too large.
    """
    refused = {entry.key for entry in revoked(endpoint)}
    for name in names(endpoint):
        found = dict.fromkeys(entry.key for entry in _entries(endpoint, name, ""))
        if found:
            return [_host_key(endpoint, text) for text in found if text not in refused]
    return []


def own(endpoint: Endpoint) -> list[HostKey]:
    """Those of the `trusted` keys that are this host's alone: not of a shared `HostKeyAlias`, nor of a pattern such as `*.lan`."""
    if endpoint.settings.host_key_alias:
        return []
    lines = [entry for name in names(endpoint) for entry in _entries(endpoint, name, "")]
    shared = {
        entry.key for entry in lines if not entry.hosts.startswith("|") and set(entry.hosts) & set("*?")
    }
    return [key for key in trusted(endpoint) if key.text not in shared]


def revoked(endpoint: Endpoint) -> list[Entry]:
    """The `@revoked` lines of a host, under its name with the port and, stricter than `ssh`, always without it too.

    Raises:
        TrustError: a file cannot be read, or is too large: a revocation in it would be missed.
    """
    return [entry for name in names(endpoint) for entry in _entries(endpoint, name, REVOKED)]


def refuse_revoked(endpoint: Endpoint, text: str) -> None:
    """Raises TrustError if a line revokes a key (`<type> <base64>`) of a host."""
    for entry in revoked(endpoint):
        if entry.key == text:
            raise refusal(endpoint, entry)


def refusal(endpoint: Endpoint, entry: Entry) -> TrustError:
    """The error for a host that shows a revoked key."""
    return TrustError(
        f"the host key of {endpoint.label} is revoked: {fingerprint(entry.key)}",
        hint=f"line {entry.line} of {entry.path} revokes it: give that machine new host keys, or remove the line",
        code=Code.HOST_KEY_REVOKED,
    )


def names(endpoint: Endpoint) -> tuple[str, ...]:
    """The names to look a host up by: the first one that has a key counts."""
    if endpoint.settings.host_key_alias:
        return (endpoint.settings.host_key_alias.lower(),)
    plain = endpoint.address.lower()
    return (plain,) if endpoint.port == DEFAULT_PORT else (f"[{plain}]:{endpoint.port}", plain)


def files(endpoint: Endpoint) -> tuple[Path, ...]:
    """The host's `known_hosts` files: the user's, then the system's."""
    return (*endpoint.settings.user_known_hosts, *endpoint.settings.global_known_hosts)


def _entries(endpoint: Endpoint, name: str, marker: str) -> Iterator[Entry]:
    """The valid lines with a marker, or without one, that name a host; their keys are in canonical base64."""
    for path in files(endpoint):
        for entry in entries(path):
            if entry.marker == marker and matches(entry.hosts, name) and (key := _canonical(entry.key)):
                yield Entry(hosts=entry.hosts, key=key, marker=entry.marker, path=path, line=entry.line)


def _canonical(text: str) -> str:
    """The one way to write a key; empty for what is no key. Two texts may differ in bits that base64 ignores."""
    try:
        encoded = base64.b64encode(key_bytes(text)).decode("ascii")
    except TrustError:
        return ""
    return f"{text.split()[0]} {encoded}"


def _host_key(endpoint: Endpoint, text: str) -> HostKey:
    """A key of a host as a record."""
    kind, encoded = text.split()
    return HostKey(host=endpoint.host, type=kind, base64=encoded, jump=endpoint.jump)


def entries(path: Path) -> tuple[Entry, ...]:
    """The lines of a file that have three fields; none if there is no such file, or if it is a device.

    Raises:
        TrustError: the file cannot be read, or is larger than `MAX_BYTES`.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # such as another user's home folder
        return ()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise _unreadable(path, error) from None
    try:
        if not stat.S_ISREG(found.st_mode):  # such as /dev/null
            return ()
        if found.st_size > MAX_BYTES:
            raise TrustError(
                f"{path} is larger than {MAX_BYTES // 1024**2} MiB",
                hint="remove the lines of hosts that you do not use, or name another UserKnownHostsFile",
            )
        return _read(path, (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> TrustError:
    reason = getattr(error, "strerror", None) or str(error)
    return TrustError(
        f"cannot read {path}: {reason.lower()}",
        hint="it may revoke host keys: make it readable, or remove it from the SSH configuration",
    )


@functools.lru_cache(maxsize=8)
def _read(path: Path, version: tuple[int, ...]) -> tuple[Entry, ...]:  # noqa: ARG001 - part of the cache's key
    """A fleet asks once for each login: a file is read once, until it changes."""
    with path.open("rb") as stream:
        text = stream.read(MAX_BYTES).decode("utf-8", "replace")
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = _BLANKS.split(line.strip(" \t\r"))
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) >= 3 and not fields[0].startswith("#"):
            key = f"{fields[1]} {fields[2]}"
            found.append(Entry(hosts=fields[0], key=key, marker=marker, path=path, line=number))
    return tuple(found)


def matches(patterns: str, name: str) -> bool:
    """Whether the first field of a line names the host; `name` is in lower case."""
    if patterns.startswith("|"):
        return matches_hash(patterns, name)
    found = False
    for pattern in patterns.split(","):
        if matches_one(pattern.removeprefix("!").lower(), name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def matches_one(pattern: str, name: str) -> bool:
    """Whether a pattern with `*` and `?` matches a name."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    ends = _WILDCARDS.split(pattern)  # fnmatch compiles each pattern, which is slow for many
    if not name.startswith(ends[0]) or not name.endswith(ends[-1]):
        return False
    # brackets are literal in known_hosts but a character class in fnmatch
    return len(pattern) < MAX_PATTERN and fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def matches_hash(field: str, name: str) -> bool:
    """Whether `|1|salt|hash` is the HMAC-SHA1 of the host's name."""
    try:
        kind, salt, digest = field[1:].split("|")
        found = hmac.digest(base64.b64decode(salt), name.encode("utf-8"), "sha1")
        return kind == "1" and hmac.compare_digest(base64.b64decode(digest), found)
    except (ValueError, binascii.Error):
        return False
