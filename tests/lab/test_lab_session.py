"""Commands on simulated boards with OpenSSH's client and with paramiko, on each kind of server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import paramiko
import pytest

from edgewright.lab import keys, processes


def connect(board) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    kind, key = (board.folder / "host_key.pub").read_text().split()
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(key))
    client.get_host_keys().add(f"[{board.address}]:{board.port}", kind, pinned)
    client.connect(
        board.address, board.port, board.user, key_filename=str(board.identity), look_for_keys=False,
        allow_agent=False, timeout=30,
    )  # fmt: skip
    return client


def test_a_command_has_its_streams_and_its_exit_status(up, ssh, options):
    (board,) = up(1, **options)
    done = ssh(board, "cat; echo to the log >&2; exit 3", given=b"bytes \x00\xff\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"bytes \x00\xff\n", b"to the log\n")


def test_what_kind_of_board_it_is_is_said(up, options):
    (board,) = up(1, **options)
    assert board.server == ("built-in" if "sshd" in options else "openssh")
    assert board.alive
    if options:
        assert not board.isolated


def test_home_is_the_boards_own(up, ssh, options):
    (board,) = up(1, **options)
    assert ssh(board, "echo here > ~/mark; echo $HOME").returncode == 0
    assert (board.folder / "home/mark").read_text() == "here\n"


def test_the_fleet_file_leads_to_the_root_folder(up, ssh, options, fleet):
    from edgewright.config.fleet import load

    (board,) = up(1, profiles=["pi4b"], **options)
    root = load(fleet).boards[board.name].root
    assert ssh(board, f"cat {root}/facts.json").stdout == (board.root / "facts.json").read_bytes()


def test_another_key_is_refused(up, ssh, options, tmp_path):
    (board,) = up(1, **options)
    keys.make(tmp_path / "other")
    done = ssh(board, "id", identity=tmp_path / "other")
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def test_the_built_in_server_takes_a_password_where_it_has_one(up):
    (board,) = up(1, sshd="built-in")
    assert login(board, "anything") is False
    config = board.folder / "server.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "password": "open sesame"}))
    os.kill(board.pid, signal.SIGTERM)
    wait_until(lambda: processes.started(board.pid) == "")
    subprocess.run([sys.executable, "-m", "edgewright.lab.servers.paramiko_server", config], check=True)
    assert login(board, "open sesame") is True
    assert login(board, "open barley") is False
    assert login(board, "") is False


def login(board, password: str) -> bool:
    with socket.create_connection((board.address, board.port)) as link, paramiko.Transport(link) as transport:
        transport.start_client(timeout=30)
        try:
            transport.auth_password(board.user, password)
        except paramiko.AuthenticationException:
            return False
        return transport.is_authenticated()


def test_megabytes_pass_through_paramiko_both_ways(up, options):
    (board,) = up(1, **options)
    sent = os.urandom(5_000_000)
    with connect(board) as client:
        channel = client.get_transport().open_session()
        channel.exec_command("cat")
        received = bytearray()

        def read() -> None:
            while piece := channel.recv(65536):
                received.extend(piece)

        reader = threading.Thread(target=read)
        reader.start()
        channel.sendall(sent)
        channel.shutdown_write()
        reader.join(60)
        assert channel.recv_exit_status() == 0
    assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()


def test_many_sessions_share_a_connection(up, options):
    (board,) = up(1, **options)
    with connect(board) as client:
        streams = [client.exec_command(f"sleep 0.2; echo {index}") for index in range(8)]
        assert [int(out.read()) for _, out, _ in streams] == list(range(8))


def test_a_command_learns_that_its_client_left(up, options):
    (board,) = up(1, **options)
    client = connect(board)
    client.exec_command("cat >/dev/null; echo ended > ~/ended")
    client.close()
    wait_until((board.folder / "home/ended").exists)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


def test_a_board_is_isolated_wherever_this_machine_allows_it(up, ssh, tmp_path):
    tried = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f"mount -t tmpfs none {tmp_path}"],
        capture_output=True,
    )
    (board,) = up(1)
    assert board.isolated == (tried.returncode == 0)
    name = ssh(board, "id -un").stdout.decode().strip()
    assert name == board.user
    if board.isolated:
        assert ssh(board, "hostname; grep -c ^edge: /etc/passwd; id -u").stdout == b"lab-1\n1\n1000\n"


def test_the_developers_home_is_out_of_reach(up, ssh, tmp_path, monkeypatch):
    developers = tmp_path / "developer"
    developers.mkdir()
    (developers / "secret").write_text("secret\n")
    monkeypatch.setenv("HOME", str(developers))
    (board,) = up(1)
    assert board.isolated == (ssh(board, f"cat {developers}/secret").stdout == b"")
    if board.isolated:
        ssh(board, f"echo spoiled > {developers}/written; cd; echo mine > .profile")
    assert [path.name for path in developers.iterdir()] == ["secret"]


def test_boards_do_not_see_each_other(up, ssh):
    first, second = up(2)
    ssh(first, "echo first > ~/mark")
    assert ssh(second, "cat ~/mark").returncode != 0
    if first.isolated:
        assert ssh(second, f"ls {first.folder}").returncode != 0
        assert ssh(second, f"ls {second.folder.parent}").stdout.split() == [second.name.encode()]


@pytest.mark.parametrize("kind", [{}, {"sshd": "built-in"}])
def test_the_real_agent_reports_the_posed_facts_as_simulated(up, fleet, kind):
    from edgewright.config.fleet import load
    from edgewright.connect.session import open_session

    up(2, profiles=["pi4b", "jetson-nano"], **kind)
    loaded = load(fleet)
    facts = []
    for name in ("lab-1", "lab-2"):
        with open_session(loaded.boards[name], loaded) as session:
            facts.append(session.facts())
    assert [one.model for one in facts] == ["Raspberry Pi 4 Model B", "NVIDIA Jetson Nano"]
    assert [one.memory_mb for one in facts] == [1024, 2048]
    assert {"model", "memory_mb", "serial", "accelerators"} <= set(facts[0].simulated)
    assert facts[0].serial != facts[1].serial
