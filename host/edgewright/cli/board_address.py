"""Reads the address of a board as users write it on the command line."""

from __future__ import annotations

from urllib.parse import unquote

from edgewright.connect.transports import kind_of
from edgewright.errors import UsageError

SSH_URL = "ssh://"
URL_FORM = "ssh://[USER@]HOST[:PORT]"


def split_address(text: str) -> tuple[str | None, str, int | None]:
    """`pi@host:2222` or `ssh://pi@host:2222` -> ("pi", "host", 2222); an IPv6 address with a port is written [::1]:22.

    Raises:
        UsageError: no host, the port is not a number from 1 to 65535, or the transport does not accept the address.
    """
    url = text.lower().startswith(SSH_URL)
    user, at, rest = (without_scheme(text) if url else text).rpartition("@")
    host, port = rest, ""
    if rest.startswith("["):
        host, closed, port = rest[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise UsageError(f"not an address: {text}", hint="write [ADDRESS]:PORT")
        port = port.removeprefix(":")
    elif rest.count(":") == 1 and (url or not names_transport(rest)):
        host, _, port = rest.partition(":")
    elif url and ":" in rest:
        raise UsageError(f"not an address: {text}", hint="write ssh://[ADDRESS]:PORT for IPv6")
    if port.startswith("//"):
        raise UsageError(f"not an address: {text}", hint=f"it is {URL_FORM}")
    if not host or (at and not user):
        raise UsageError(f"no address: {text!r}", hint="such as pi@192.0.2.7:22")
    if port and not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise UsageError(f"not a port: {port}", hint="such as pi@192.0.2.7:22")
    user = unquote(user) if url else user
    if user.startswith("-") or not user.isprintable() or " " in user:
        raise UsageError(f"not a user: {user!r}", hint="such as pi@192.0.2.7:22")
    return user or None, host, int(port) if port else None


def without_scheme(url: str) -> str:
    """`[user@]host[:port]` of an `ssh://` address.

    Raises:
        UsageError: it has a path, a query or a password.
    """
    rest = url[len(SSH_URL) :].removesuffix("/")
    if ":" in rest.rpartition("@")[0]:  # the message leaves the password out
        raise UsageError("an address has no password", hint="leave it out: a login asks for it")
    if set(rest) & set("/?#"):
        raise UsageError(f"not an address: {url}", hint=f"it is {URL_FORM}, without a path")
    return rest


def names_transport(address: str) -> bool:
    """Whether an address such as `local:` names a transport rather than a port."""
    after = address.partition(":")[2]
    return not after.isdecimal() and not kind_of(address).host_keys
