"""Logging in to real OpenSSH servers."""

from __future__ import annotations

import getpass
import os
import subprocess

import pytest

from edgewright.connect import session, trust
from edgewright.connect.ssh import client, config, limits
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.connect.ssh.resolution.settings import Query
from edgewright.errors import AuthError, ConfigError, TrustError, Unreachable

SSH_CLIENTS = ("paramiko", "openssh")  # every test of a login runs with both


def output(board, fleet, command="echo out; echo log >&2; exit 7", ask=None):
    """(stdout, stderr, exit code) of a command on a board."""
    transport = session.connect(board, fleet, ask)
    try:
        channel = transport.run(command)
        said = b""
        while piece := channel.receive(65536, 10):
            said += piece
        code = channel.exit_code(5)
        return said, channel.log(), code
    finally:
        transport.close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_key_types_of_user_and_host(kind, own_home, new_key, make_sshd, make_board, fleet, pinned):
    server = make_sshd(new_key(own_home / ".ssh" / f"id_{kind}", kind), key=kind)
    pinned(fleet, "pi", server.host_key)
    assert output(make_board(server), fleet) == (b"out\n", "log\n", 7)


def test_encrypted_key_asks_for_its_passphrase_only(own_home, new_key, make_sshd, make_board, fleet, pinned):
    key = new_key(own_home / "locked", "ed25519", "open sesame")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return "wrong" if len(asked) == 1 else "open sesame"

    assert output(make_board(server, identity=str(key)), fleet, ask=ask)[0] == b"out\n"
    assert asked == [f"passphrase of {key}"] * 2


def test_wrong_key_is_an_auth_error(identity, new_key, tmp_path, make_sshd, make_board, fleet, pinned):
    server = make_sshd(new_key(tmp_path / "another"))
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(AuthError) as caught:
        output(make_board(server), fleet)
    assert "refused the login of" in caught.value.message and str(identity) in caught.value.message
    assert "identity" in caught.value.hint


def test_missing_identity_is_an_auth_error(sshd, make_board, fleet, pinned, tmp_path):
    pinned(fleet, "pi", sshd.host_key)
    with pytest.raises(AuthError, match="no such identity file"):
        output(make_board(sshd, identity=str(tmp_path / "absent")), fleet)


def test_key_of_the_ssh_agent(tmp_path, new_key, make_sshd, make_board, fleet, pinned, monkeypatch):
    key = new_key(tmp_path / "elsewhere")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    socket = tmp_path / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        add = ["sh", "-c", f"until [ -S {socket} ]; do sleep 0.05; done; exec ssh-add -q {key}"]
        subprocess.run(add, check=True, timeout=60)
        assert output(make_board(server), fleet)[0] == b"out\n"
    finally:
        agent.terminate()
        agent.wait()


def test_unknown_host_key_is_refused_before_the_login(sshd, make_board, fleet):
    with pytest.raises(TrustError) as caught:
        output(make_board(sshd), fleet)
    assert caught.value.code == "host-key-unknown"
    assert caught.value.hint == "edgewright fleet trust pi"
    assert "Accepted" not in sshd.log()


def test_changed_host_key_shows_both_fingerprints(sshd, make_board, fleet, pinned, new_key, tmp_path):
    old = new_key(tmp_path / "old")
    pinned(fleet, "pi", old)
    with pytest.raises(TrustError) as caught:
        output(make_board(sshd), fleet)
    shown = [
        subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()[
            1
        ]
        for key in (old, sshd.host_key)
    ]
    assert caught.value.code == "host-key-changed"
    assert all(one in caught.value.message for one in shown)
    log = sshd.log()
    assert "Accepted" not in log and "Failed" not in log


def test_only_the_pinned_type_is_offered(identity, make_sshd, make_board, fleet, pinned, new_key, tmp_path):
    rsa = new_key(tmp_path / "second", "rsa")
    server = make_sshd(identity, lines=(f"HostKey {rsa}",))
    pinned(fleet, "pi", rsa)
    assert output(make_board(server), fleet)[0] == b"out\n"
    pinned(fleet, "pi", new_key(tmp_path / "other", "ecdsa"))
    with pytest.raises(TrustError) as caught:
        output(make_board(server), fleet)
    assert caught.value.code == "host-key-changed"


def test_relaxed_ssh_config_does_not_relax(sshd, make_board, fleet, own_home):
    text = "Host *\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n VerifyHostKeyDNS yes\n"
    (own_home / ".ssh" / "config").write_text(text)
    with pytest.raises(TrustError):
        output(make_board(sshd), fleet)


def test_alias_of_the_ssh_config(sshd, make_board, fleet, pinned, own_home):
    text = f"Host kitchen\n HostName 127.0.0.1\n Port {sshd.port}\n User {getpass.getuser()}\n"
    (own_home / ".ssh" / "config").write_text(text)
    pinned(fleet, "pi", sshd.host_key)
    board = make_board(sshd, address="kitchen", port=None, user=None)
    assert output(board, fleet)[0] == b"out\n"


def test_jump_host(sshd, make_sshd, identity, make_board, fleet, pinned):
    inner = make_sshd(identity)
    board = make_board(inner, jump=f"{getpass.getuser()}@127.0.0.1:{sshd.port}")
    pinned(fleet, "pi", inner.host_key)
    with pytest.raises(TrustError, match="jump host"):
        output(board, fleet)
    pinned(fleet, f"127.0.0.1:{sshd.port}", sshd.host_key, jump=True)
    assert output(board, fleet)[0] == b"out\n"
    assert "Accepted publickey" in sshd.log("Accepted publickey")


def test_a_jump_host_that_was_pinned_in_upper_case_is_pinned(
    sshd, make_sshd, identity, make_board, fleet, pinned, own_home
):
    inner = make_sshd(identity)
    (own_home / ".ssh" / "config").write_text(f"Host gate\n HostName LocalHost\n Port {sshd.port}\n")
    pinned(fleet, "pi", inner.host_key)
    pinned(fleet, f"LocalHost:{sshd.port}", sshd.host_key, jump=True)
    assert output(make_board(inner, jump="gate"), fleet)[0] == b"out\n"


def test_changed_key_of_a_jump_host_names_the_board_to_trust(
    sshd, make_sshd, identity, make_board, fleet, pinned
):
    inner = make_sshd(identity)
    pinned(fleet, "pi", inner.host_key)
    pinned(fleet, f"127.0.0.1:{sshd.port}", inner.host_key, jump=True)
    with pytest.raises(TrustError, match=r"jump host 127\.0\.0\.1 changed") as caught:
        output(make_board(inner, jump=f"127.0.0.1:{sshd.port}"), fleet)
    assert "edgewright fleet trust pi --replace" in caught.value.hint


def test_jump_host_that_cannot_reach_the_board(sshd, make_board, fleet, pinned):
    board = make_board(sshd, port=1, jump=f"127.0.0.1:{sshd.port}")
    pinned(fleet, "pi", sshd.host_key)
    pinned(fleet, f"127.0.0.1:{sshd.port}", sshd.host_key, jump=True)
    with pytest.raises(Unreachable, match="the jump host cannot reach pi"):
        output(board, fleet)


def test_nobody_listens(sshd, make_board, fleet, pinned):
    pinned(fleet, "pi", sshd.host_key)
    with pytest.raises(Unreachable, match=r"cannot reach pi .*connection refused"):
        output(make_board(sshd, port=1), fleet)


def test_unknown_address(sshd, make_board, fleet, pinned):
    pinned(fleet, "pi", sshd.host_key)
    with pytest.raises(Unreachable) as caught:
        output(make_board(sshd, address="no-such-board.invalid"), fleet)
    assert "spelled" in caught.value.hint


def test_not_an_ssh_server(sshd, make_board, fleet, pinned, monkeypatch):
    import socket
    import threading

    pinned(fleet, "pi", sshd.host_key)
    monkeypatch.setattr(limits, "ATTEMPTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            for _ in range(2):
                client, _address = listener.accept()
                client.sendall(b"220 mail ready\r\n")
                client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable) as caught:
            output(make_board(sshd, port=listener.getsockname()[1]), fleet)
        thread.join()
    assert "MaxStartups" in caught.value.hint


def test_login_survives_max_startups(identity, make_sshd, make_board, fleet, pinned):
    import socket

    server = make_sshd(identity, lines=("MaxStartups 1:100:1", "LoginGraceTime 2"))
    pinned(fleet, "pi", server.host_key)
    with socket.create_connection(
        ("127.0.0.1", server.port)
    ):  # holds the only place until its grace time ends
        assert output(make_board(server), fleet)[0] == b"out\n"
    assert "drop connection" in server.log("drop connection")


def test_large_output_and_log_do_not_block_each_other(sshd, make_board, fleet, pinned):
    pinned(fleet, "pi", sshd.host_key)
    script = "head -c 9000000 /dev/zero >&2; head -c 9000000 /dev/zero; echo end >&2"
    said, log, code = output(make_board(sshd), fleet, script)
    assert (len(said), code) == (9000000, 0)
    assert log.endswith("end\n") and len(log) <= 256 * 1024


def test_gcm_comes_first_only_with_aes():
    assert set(client.ciphers()) == set(client.FIRST_CIPHERS + client.LAST_CIPHERS)
    assert client.ciphers()[0].endswith("gcm@openssh.com") == client.has_aes()


def test_unreadable_ssh_config_is_named(own_home):
    (own_home / ".ssh" / "config").write_text("Host 'pi\n")
    with pytest.raises(ConfigError, match="ssh/config"):
        lookup()(Query(alias="pi"))


def test_scan_then_pin_then_login(sshd, make_board, fleet):
    board = make_board(sshd)
    (key,) = trust.scan(board, fleet)
    printed = subprocess.run(["ssh-keygen", "-lf", sshd.host_key], capture_output=True, text=True, check=True)
    assert key.fingerprint == printed.stdout.split()[1]
    assert (key.host, key.jump) == (f"127.0.0.1:{sshd.port}", False)
    trust.pin(board, fleet, key)
    assert output(board, fleet)[0] == b"out\n"


def test_scan_shows_the_jump_host_first(sshd, make_sshd, identity, make_board, fleet):
    inner = make_sshd(identity)
    board = make_board(inner, jump=f"127.0.0.1:{sshd.port}")
    (first,) = trust.scan(board, fleet)
    assert (first.jump, first.host) == (True, f"127.0.0.1:{sshd.port}")
    trust.pin(board, fleet, first)
    (second,) = trust.scan(board, fleet)
    assert (second.jump, second.host) == (False, f"127.0.0.1:{inner.port}")
    trust.pin(board, fleet, second)
    assert output(board, fleet)[0] == b"out\n"


def test_endpoint_user_defaults_to_the_login(own_home, make_board, sshd):
    board = make_board(sshd, user=None)
    assert config.endpoint(board, lookup()).user == getpass.getuser()
    assert os.environ["HOME"] == str(own_home)
