"""The keys to offer to a server: those that are named first, from the agent or from files, then the agent's others.

A key that needs a passphrase comes last, to avoid needless prompts, unless the agent holds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from edgewright.connect.ssh.config import Endpoint
from edgewright.errors import AuthError
from edgewright.nouns.base import Noun
from edgewright.wire.transport import AskPassword

TRIES = 3


class Locked(Exception):
    """A key file is encrypted, and the passphrase is missing or wrong."""


class Unusable(Exception):
    """A file or an agent has no key that can be used; the message says why."""


class Offer(Noun, frozen=True, kw_only=True):
    """A key that a server is asked to accept.

    Attributes:
        label: its name in messages.
        key: the SSH library's key, with its certificate if it has one.
        public: the bytes of its public key.
        offered: the bytes that are shown to the server: a certificate, or the public key.
    """

    label: str
    key: Any
    public: bytes
    offered: bytes


class KeyRing(Protocol):
    """Reads keys."""

    def public_key(self, file: Path) -> bytes | None:
        """The bytes of the public key in a file, or in `<file>.pub`; None if there is none."""

    def private_key(self, file: Path, passphrase: str | None, certificates: tuple[Path, ...]) -> list[Offer]:
        """The private key in a file, with each of its certificates and without one.

        Raises:
            Locked: it needs another passphrase.
            Unusable: it is no key, or none that the SSH library can use.
            FileNotFoundError: it is missing.
        """

    def agent_keys(self, socket: str, certificates: tuple[Path, ...]) -> list[Offer]:
        """The keys of an SSH agent, as `private_key`. Raises Unusable if the agent does not answer."""

    def close_agents(self) -> None:
        """Closes the connections to agents; their keys can no longer sign."""


def offers(ring: KeyRing, endpoint: Endpoint, ask: AskPassword | None, tried: list[str]) -> Iterator[Offer]:
    """The keys to offer, without duplicates.

    Args:
        ask: called with a prompt for a passphrase.
        tried: what cannot be offered is added here, for the message of a refusal.

    Raises:
        AuthError: the fleet names an identity file that is missing.
    """
    seen: set[bytes] = set()
    for offer in _all(ring, endpoint, ask, tried, seen):
        if offer.offered not in seen:
            seen.add(offer.offered)
            yield offer


def _all(
    ring: KeyRing, endpoint: Endpoint, ask: AskPassword | None, tried: list[str], seen: set[bytes]
) -> Iterator[Offer]:
    settings = endpoint.settings
    held = _held(ring, endpoint, tried)
    locked: list[Path] = []
    for file in _files(endpoint):
        public = ring.public_key(file)
        mine = [offer for offer in held if offer.public == public]
        if mine:
            yield from mine
            continue
        try:
            yield from ring.private_key(file, None, settings.certificate_files)
        except Locked:
            locked.append(file)
        except FileNotFoundError:
            continue
        except Unusable as error:
            tried.append(f"{file} ({error})")
    if not settings.identities_only:
        yield from held
    for file in locked:
        if ring.public_key(file) not in seen:
            yield from _unlocked(ring, file, settings.certificate_files, ask, tried)


def is_there(file: Path) -> bool:
    """Whether a key file, or the public one beside it, can be reached; its folder may be another user's."""
    return os.access(file, os.F_OK) or os.access(f"{file}.pub", os.F_OK)


def check_identity(endpoint: Endpoint) -> None:
    """Raises AuthError if the identity file that the fleet names is missing."""
    own = endpoint.identity
    if own and not is_there(own):
        raise AuthError(
            f"no such identity file of {endpoint.label}: {own}", hint="correct `identity` in the fleet file"
        )


def _files(endpoint: Endpoint) -> list[Path]:
    """The key files: the fleet's, then those of the SSH configuration."""
    check_identity(endpoint)
    own = endpoint.identity
    return list(dict.fromkeys(([own] if own else []) + list(endpoint.settings.identity_files)))


def _held(ring: KeyRing, endpoint: Endpoint, tried: list[str]) -> list[Offer]:
    """The agent's keys; none if there is no agent, or it does not answer."""
    socket = endpoint.settings.identity_agent
    try:
        return ring.agent_keys(socket, endpoint.settings.certificate_files) if socket else []
    except Unusable as error:
        tried.append(f"ssh-agent ({error})")
        return []


def _unlocked(
    ring: KeyRing, file: Path, certificates: tuple[Path, ...], ask: AskPassword | None, tried: list[str]
) -> list[Offer]:
    """An encrypted key, after prompting for its passphrase."""
    if ask is None:
        tried.append(f"{file} (encrypted, cannot prompt for its passphrase)")
        return []
    for _ in range(TRIES):
        passphrase = ask(f"passphrase of {file}")
        if not passphrase:
            tried.append(f"{file} (encrypted, no passphrase was given)")
            return []
        try:
            return ring.private_key(file, passphrase, certificates)
        except Locked:
            continue
        except Unusable as error:
            tried.append(f"{file} ({error})")
            return []
    tried.append(f"{file} (wrong passphrase)")
    return []
