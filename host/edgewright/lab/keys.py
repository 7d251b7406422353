"""Ed25519 key pairs for the lab's boards and its client."""

from __future__ import annotations

import os
from pathlib import Path


def make(path: Path) -> str:
    """Writes a new key pair to `path` and `path`.pub, in OpenSSH's formats, unless it exists already.

    Returns:
        The public key as `<type> <base64>`.
    """
    public = path.with_name(f"{path.name}.pub")
    if not public.exists():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            PublicFormat,
        )

        key = Ed25519PrivateKey.generate()
        write(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        write(public, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    return public.read_text().strip()


def write(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, whatever the umask: ssh refuses any other key file."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
