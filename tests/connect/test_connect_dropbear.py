"""Boards whose SSH server is Dropbear, as on OpenWrt and Buildroot."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time

import needs
import pytest

from edgewright.connect import trust
from edgewright.connect.session import open_session
from edgewright.nouns.board import Board

SSH_CLIENTS = ("paramiko", "openssh")
# Dropbear reads the keys of the home folder that the system knows
START = 'mount --bind "$1" /etc/passwd && exec "$2" -F -E -m -r "$3" -p "127.0.0.1:$4" -P "$5"'


@pytest.fixture
def dropbear(tmp_path, own_home, identity):
    """The port of a running Dropbear that accepts the user's key."""
    needs.tool("dropbear", "dropbearkey", "unshare")
    key, passwd = tmp_path / "key", tmp_path / "passwd"
    subprocess.run(["dropbearkey", "-t", "ed25519", "-f", key], check=True, capture_output=True)
    (own_home / ".ssh" / "authorized_keys").write_text(identity.with_suffix(".pub").read_text())
    passwd.write_text(f"{getpass.getuser()}:x:{os.getuid()}:{os.getgid()}::{own_home}:/bin/sh\n")
    program = shutil.which("dropbear", path=needs._PATH)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [passwd, program, key, str(port), tmp_path / "pid"]
    own = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*own, "sh", "-c", START, "sh", *arguments], stderr=log)
    until = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield port
    server.terminate()
    server.wait()
    print((tmp_path / "log").read_text())


def test_a_session_with_dropbear(dropbear, ssh_client, fleet, tmp_path):
    board = Board(
        name="router", address="127.0.0.1", port=dropbear, user=getpass.getuser(), root=str(tmp_path / "root"),
        python=sys.executable, ssh_client=ssh_client,
    )  # fmt: skip
    (shown,) = trust.scan(board, fleet)
    assert shown.type == "ssh-ed25519"
    trust.pin(board, fleet, shown)
    with open_session(board, fleet) as session:
        assert session.facts().cpus
        session.put(bytes(range(256)) * 4096)
        assert session.sent_bytes == 1 << 20
