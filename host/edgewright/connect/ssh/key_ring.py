"""Reads private keys, certificates and the keys of agents, through paramiko."""

from __future__ import annotations

import binascii
import copy
import io
import socket
from base64 import b64decode
from pathlib import Path
from typing import Any

from edgewright.connect.ssh.keys import Locked, Offer, Unusable

AGENT_SECONDS = 5.0  # to list its keys
TOUCH_SECONDS = 45.0  # to sign: a person may have to touch a hardware key; less than the login has
MOST_BYTES = 64 * 1024  # of a key file
_CERTIFICATE = "-cert.pub"
_CERTIFIED = b"-cert-v01@openssh.com"
_PRIVATE = b"openssh-key-v1\0"
_FIELDS = {  # of a public key, by its type
    b"ssh-ed25519": 1, b"ssh-rsa": 2, b"sk-ssh-ed25519@openssh.com": 2, b"sk-ecdsa-sha2-nistp256@openssh.com": 3,
    b"ecdsa-sha2-nistp256": 2, b"ecdsa-sha2-nistp384": 2, b"ecdsa-sha2-nistp521": 2,
}  # fmt: skip


class KeyRing:
    """The contract is `keys.KeyRing`."""

    def __init__(self) -> None:
        self._links: list[socket.socket] = []

    def public_key(self, file: Path) -> bytes | None:
        return _public(file) or _public(file.with_name(file.name + ".pub")) or _inside(file)

    def private_key(self, file: Path, passphrase: str | None, certificates: tuple[Path, ...]) -> list[Offer]:
        import paramiko
        from cryptography.exceptions import UnsupportedAlgorithm

        if _public(file):
            raise Unusable("a public key, and the agent does not hold its private key")
        try:
            key = _loaded(_read(file), passphrase)
        except FileNotFoundError:
            raise
        except TypeError as error:  # what the loader raises for an encrypted key without a passphrase
            raise Locked from error
        except UnsupportedAlgorithm as error:
            raise Unusable("of a kind that works through ssh-agent alone") from error
        except (ValueError, OSError, paramiko.SSHException) as error:
            if passphrase is not None:
                raise Locked from error
            raise Unusable("not a private key that can be read") from error
        beside = file.with_name(file.name + _CERTIFICATE)
        label, public = str(file), bytes(key.asbytes())
        return _offers(label, key, _certificates(label, public, (beside, *certificates)))

    def agent_keys(self, path: str, certificates: tuple[Path, ...]) -> list[Offer]:
        import paramiko

        agent = paramiko.agent.AgentSSH()
        link = socket.socket(socket.AF_UNIX)
        self._links.append(link)
        link.settimeout(AGENT_SECONDS)
        try:
            link.connect(path)
            agent._connect(link)  # what paramiko.Agent does for the socket of the environment
        except TimeoutError as error:
            raise Unusable(f"{path} did not answer within {AGENT_SECONDS:g} s") from error
        except (OSError, paramiko.SSHException, ValueError) as error:
            raise Unusable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        link.settimeout(TOUCH_SECONDS)
        found: list[Offer] = []
        held = [_held(key) for key in agent.get_keys()]
        listed = [(_label(key), bytes(key.blob)) for key in held if _plain_of(key.blob)]
        plain = {bytes(key.blob) for key in held}
        for key in held:
            label, blob, of = _label(key), bytes(key.blob), _plain_of(key.blob)
            if of is None:
                own = [(named, one) for named, one in listed if _plain_of(one) == blob]
                found += _offers(label, key, [*own, *_certificates(label, blob, certificates)])
            elif (
                of not in plain
            ):  # the agent holds the certificate alone, as those of certificate authorities do
                found.append(Offer(label=label, key=key, public=of, offered=blob))
        return found

    def close_agents(self) -> None:
        while self._links:
            self._links.pop().close()


def _loaded(data: bytes, passphrase: str | None) -> Any:
    """paramiko's key. Its own loader reads a certificate beside the file as well, and takes the key for damaged if that one is."""
    import paramiko
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    kinds: tuple[tuple[type, Any], ...] = (
        (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
        (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
        (rsa.RSAPrivateKey, paramiko.RSAKey),
    )
    secret = passphrase.encode("utf-8") if passphrase is not None else None
    try:
        loaded: Any = serialization.load_ssh_private_key(data, secret)
    except ValueError:  # not of OpenSSH's own kind
        loaded = serialization.load_pem_private_key(data, secret)
    for of, kind in kinds:
        if isinstance(loaded, of):
            return kind.from_private_key(io.StringIO(data.decode("ascii")), password=passphrase)
    raise ValueError(f"a key of another kind: {type(loaded).__name__}")


def _held(key: Any) -> Any:
    """An agent's key, whose refusal to sign refuses this key alone: paramiko would end the connection."""
    import paramiko
    from paramiko.agent import AgentKey

    class Held(AgentKey):  # type: ignore[misc]
        refused = False

        def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> bytes:
            try:
                return bytes(super().sign_ssh_data(data, algorithm))
            except (paramiko.SSHException, OSError):
                self.refused = True
                return b""  # which no server takes

    return Held(key.agent, key.blob, key.comment)


def _label(key: Any) -> str:
    return f"ssh-agent's {key.get_name()} {key.comment or ''}".rstrip()


def _certificates(label: str, public: bytes, files: tuple[Path, ...]) -> list[tuple[str, bytes]]:
    """(label, bytes) of each file's certificate that is made for a public key."""
    found = [(f"{label} with {file.name}", _public(file)) for file in files]
    return [(named, blob) for named, blob in found if blob and _plain_of(blob) == public]


def _offers(label: str, key: Any, certificates: list[tuple[str, bytes]]) -> list[Offer]:
    """A key with each of its certificates, then without one."""
    from paramiko.agent import AgentKey
    from paramiko.pkey import PublicBlob

    plain = bytes(key.asbytes())
    found = [Offer(label=label, key=key, public=plain, offered=plain)]
    for named, blob in reversed(certificates):
        certified = (
            _held(key) if isinstance(key, AgentKey) else copy.copy(key)
        )  # `copy` cannot copy an agent's
        certified.public_blob = PublicBlob(_string(blob)[0].decode("ascii", "replace"), blob)
        found.insert(0, Offer(label=named, key=certified, public=plain, offered=blob))
    return found


def _plain_of(blob: bytes) -> bytes | None:
    """The public key that an OpenSSH certificate is made for; None if it is no certificate of a known kind.

    It begins with its type and a nonce; the fields of the public key follow (PROTOCOL.certkeys of OpenSSH).
    """
    kind, rest = _string(blob)
    of = kind.removesuffix(_CERTIFIED)
    own = of + b"@openssh.com" if of.startswith(b"sk-") else of
    if not kind.endswith(_CERTIFIED) or own not in _FIELDS:
        return None
    _, fields = _string(rest)
    end = 0
    for _ in range(_FIELDS[own]):
        end += 4 + int.from_bytes(fields[end : end + 4], "big")
    return len(own).to_bytes(4, "big") + own + fields[:end]


def _string(data: bytes) -> tuple[bytes, bytes]:
    """(the string that a blob begins with, the rest)."""
    end = 4 + int.from_bytes(data[:4], "big")
    return data[4:end], data[end:]


def _read(file: Path) -> bytes:
    """A key file, of which no more is read than a key can have."""
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES)


def _public(file: Path) -> bytes | None:
    """The bytes of a public key or certificate in a file; None if it holds none."""
    try:
        fields = _read(file).split(None, 2)
        blob = b64decode(fields[1], validate=True) if len(fields) > 1 else b""
    except (OSError, binascii.Error, ValueError):
        return None
    return blob if blob and _string(blob)[0] == fields[0] else None


def _inside(file: Path) -> bytes | None:
    """The public key in a private key of OpenSSH's own kind, where it is never encrypted (PROTOCOL.key of OpenSSH)."""
    try:
        lines = _read(file).split(b"\n")
        data = b64decode(b"".join(line.strip() for line in lines if not line.startswith(b"-")), validate=True)
    except (OSError, binascii.Error, ValueError):
        return None
    if not data.startswith(_PRIVATE):
        return None
    rest = data[len(_PRIVATE) :]
    for _ in range(3):  # cipher, key derivation, its options
        rest = _string(rest)[1]
    return _string(rest[4:])[0] or None
