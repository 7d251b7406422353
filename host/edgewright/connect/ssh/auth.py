"""Logs in: which keys and passwords are tried, and in which order.

Keys without a passphrase come first, to avoid needless prompts. Passwords and passphrases
are asked for, used once, and kept nowhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from edgewright.connect.ssh.config import Endpoint
from edgewright.errors import AuthError
from edgewright.wire.transport import AskPassword

HINT = "name the right key with `identity` in the fleet file, or load it into ssh-agent; is the user right?"
TRIES = 3


class Locked(Exception):
    """A key file is encrypted, and the passphrase is missing or wrong."""


class Server(Protocol):
    """An SSH server whose host key has been checked."""

    def active(self) -> bool:
        """Whether it still listens; it hangs up after too many attempts."""

    def methods(self) -> list[str]:
        """The methods that it offers; none when the login is already open."""

    def accepts_key(self, key: Any) -> bool:
        """Tries a key."""

    def accepts_password(self, password: str) -> bool:
        """Tries a password."""

    def load_key(self, file: Path, passphrase: str | None) -> Any:
        """The private key in a file, None when there is none that can be read; raises Locked."""

    def agent_keys(self) -> Iterator[tuple[str, Any]]:
        """The keys of the SSH agent, with a label each."""


def log_in(server: Server, endpoint: Endpoint, ask: AskPassword | None) -> None:
    """Authenticates.

    Raises:
        AuthError: everything was refused; the message says what was tried.
    """
    allowed = server.methods()
    if not allowed:
        return
    tried: list[str] = []
    if "publickey" in allowed and by_key(server, endpoint, ask, tried):
        return
    if (
        ask
        and {"password", "keyboard-interactive"} & set(allowed)
        and by_password(server, endpoint, ask, tried)
    ):
        return
    what = ", ".join(tried) or f"nothing: no usable key, and it takes {' or '.join(allowed)}"
    raise AuthError(
        f"{endpoint.label} ({endpoint.host}) refused the login of {endpoint.user}; tried {what}", hint=HINT
    )


def by_key(server: Server, endpoint: Endpoint, ask: AskPassword | None, tried: list[str]) -> bool:
    """Tries the keys, one after another."""
    for label, key in keys(server, endpoint, ask, tried):
        if not server.active():
            tried.append("no more, as the server hung up: name the one key to use")
            return False
        tried.append(label)
        if server.accepts_key(key):
            return True
    return False


def by_password(server: Server, endpoint: Endpoint, ask: AskPassword, tried: list[str]) -> bool:
    """Asks for the password, at most three times, and stops when an answer repeats itself."""
    last: str | None = None
    for _ in range(TRIES):
        if not server.active():
            return False
        password = ask(f"password of {endpoint.user}@{endpoint.address}")
        if not password or password == last:
            return False
        last = password
        tried.append("a password")
        if server.accepts_password(password):
            return True
    return False


def keys(
    server: Server, endpoint: Endpoint, ask: AskPassword | None, tried: list[str]
) -> Iterator[tuple[str, Any]]:
    """Keys with a label each: the fleet's, the configured, the agent's, then the encrypted ones."""
    if endpoint.identity and not endpoint.identity.is_file():
        raise AuthError(f"no such identity file of {endpoint.label}: {endpoint.identity}", hint=HINT)
    files = list(
        dict.fromkeys(([endpoint.identity] if endpoint.identity else []) + list(endpoint.identities))
    )
    locked: list[Path] = []
    for file in files:
        try:
            key = server.load_key(file, None)
        except Locked:
            locked.append(file)
            continue
        if key is not None:
            yield str(file), key
        elif file == endpoint.identity:
            tried.append(f"{file} (not a private key that can be read)")
    if endpoint.agent:
        yield from server.agent_keys()
    for file in locked:
        yield from unlocked(server, file, ask, tried)


def unlocked(
    server: Server, file: Path, ask: AskPassword | None, tried: list[str]
) -> Iterator[tuple[str, Any]]:
    """An encrypted key, its passphrase asked for."""
    if ask is None:
        tried.append(f"{file} (encrypted, and nobody to ask)")
        return
    for _ in range(TRIES):
        passphrase = ask(f"passphrase of {file}")
        if not passphrase:
            break
        with contextlib.suppress(Locked):
            yield str(file), server.load_key(file, passphrase)
            return
    tried.append(f"{file} (wrong passphrase)")
