"""Asks an SSH agent what it holds; the `ssh` program would wait for ever for one that hangs."""

from __future__ import annotations

import socket
import time

from edgewright.connect.ssh import key_ring

_LIST_KEYS = b"\0\0\0\1\x0b"  # a message of one byte, SSH_AGENTC_REQUEST_IDENTITIES
_MOST = 256 * 1024
_ON_TOKEN = (b"sk-ssh-ed25519", b"sk-ecdsa-sha2-nistp256")


def listing(path: str) -> bytes:
    """The agent's answer with its public keys, as it sends it. Raises OSError if it gives none."""
    deadline = time.monotonic() + key_ring.AGENT_SECONDS
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(key_ring.AGENT_SECONDS)
        link.connect(path)
        link.sendall(_LIST_KEYS)
        found = b""
        while len(found) < 4 or len(found) - 4 < min(int.from_bytes(found[:4], "big"), _MOST):
            link.settimeout(max(0.001, deadline - time.monotonic()))
            piece = link.recv(65536)
            if not piece:
                raise ConnectionResetError("it hung up")
            found += piece
        return found


def fault(path: str) -> str:
    """Why an agent cannot be used, for a message; empty if it answers."""
    try:
        listing(path)
    except TimeoutError:
        return f"{path} did not answer within {key_ring.AGENT_SECONDS:g} s"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return ""


def holds_token_key(path: str) -> bool:
    """Whether an agent holds a key of a FIDO token; False for one that does not answer."""
    try:
        found = listing(path)
    except OSError:
        return False
    return any(kind in found for kind in _ON_TOKEN)
