"""Servers that offer no algorithm that the SSH library has, or a hostile list of algorithms."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from edgewright.config import trust as trust_file
from edgewright.connect import session, trust
from edgewright.connect.ssh import limits, negotiation
from edgewright.errors import TrustError, Unreachable
from edgewright.nouns.board import Pin, TrustFile


def text(key):
    """`<type> <base64>` of a key pair."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


LACKING = {
    "key exchange": ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "KexAlgorithms"),
    "cipher": ("Ciphers chacha20-poly1305@openssh.com", "Ciphers"),
    "MAC": ("MACs umac-64@openssh.com,umac-128@openssh.com", "MACs"),
    "host key type": ("HostKeyAlgorithms ssh-rsa", "HostKeyAlgorithms"),
}


@pytest.mark.parametrize("kind", LACKING)
def test_a_kind_of_algorithm_that_is_not_shared_is_named(
    identity, make_sshd, make_board, fleet, pinned, kind
):
    line, keyword = LACKING[kind]
    server = make_sshd(identity, lines=(line,), key="rsa")
    board, before = make_board(server), server.log().count("Connection from")
    with pytest.raises(negotiation.NoCommonAlgorithm) as scanned:
        trust.scan(board, fleet)
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(negotiation.NoCommonAlgorithm) as caught:
        session.connect(board, fleet)
    for error in (scanned.value, caught.value):
        assert f"no common {kind} with pi" in error.message and "pinned" not in error.message
        assert f"offers only {line.split()[1].replace(',', ', ')}" in error.message
        assert f"`{keyword}`" in error.hint and error.code == "unreachable"
    assert (
        server.log().count("Connection from") <= before + 3
    )  # the fixture's probe too; no retries: the server would answer the same


def test_a_server_without_a_key_of_a_pinned_type_names_the_types(sshd, make_board, fleet, new_key, tmp_path):
    keys = [text(new_key(tmp_path / kind, kind)) for kind in ("ecdsa", "rsa")]
    trust_file.save(fleet, TrustFile(boards={"pi": Pin(host_key=keys[0], other_keys=(keys[1],))}))
    with pytest.raises(TrustError, match="no host key of the pinned type any more") as caught:
        session.connect(make_board(sshd), fleet)
    assert (
        "pinned ecdsa-sha2-nistp256, rsa-sha2-512, rsa-sha2-256, offered ssh-ed25519" in caught.value.message
    )


def test_a_pinned_type_that_paramiko_lacks_is_named(sshd, make_board, fleet):
    pin = Pin(host_key="ssh-dss AAAAB3NzaC1kc3MA")
    trust_file.save(fleet, TrustFile(boards={"pi": pin}))
    with pytest.raises(negotiation.NoCommonAlgorithm, match="unsupported type: ssh-dss") as caught:
        session.connect(make_board(sshd), fleet)
    assert "edgewright fleet trust pi --replace" in caught.value.hint


def kexinit(*lists):
    """The packet of a KEXINIT message, without encryption."""
    body = b"\x14" + bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists) + bytes(5)
    padding = 8 - (len(body) + 5) % 8 + (8 if (len(body) + 5) % 8 > 4 else 0)
    return (len(body) + padding + 1).to_bytes(4, "big") + bytes([padding]) + body + bytes(padding)


@pytest.mark.parametrize(
    ("kex", "words"),
    [
        (b"\x1b[31m" + b"x" * 5000 + b"," + b",".join([b"y"] * 90), "and 85 more"),
        (b"ext-info-s,kex-strict-s-v00@openssh.com", "it offers only nothing"),
        (b"\xff\xfe", "it sent a broken message"),
        (b"", "it offers only nothing"),
    ],
)
def test_a_hostile_list_of_algorithms_stays_short_and_printable(
    make_board, sshd, fleet, monkeypatch, kex, words
):
    monkeypatch.setattr(limits, "ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            link, _ = listener.accept()
            with link:
                link.sendall(b"SSH-2.0-x\r\n" + kexinit(kex, *[b"ssh-ed25519"] * 9))
                while link.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        board = make_board(sshd, port=listener.getsockname()[1])
        with pytest.raises(Unreachable) as caught:
            trust.scan(board, fleet)
        thread.join()
    assert words in caught.value.message
    assert caught.value.message.isprintable() and len(caught.value.message) < 400
