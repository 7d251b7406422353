"""The system's `ssh` program as the client: what it alone reaches, what it is given, and what it leaves behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from edgewright import scratch_folder
from edgewright.connect import session, trust
from edgewright.connect.ssh import choice, config, limits
from edgewright.connect.ssh.negotiation import NoCommonAlgorithm
from edgewright.connect.ssh.openssh import client, private_config
from edgewright.connect.ssh.openssh.askpass import Prompts
from edgewright.connect.ssh.openssh.failure import Attempt, failure
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.errors import AuthError, ConfigError, TrustError, Unreachable

SSH_CLIENTS = ("openssh",)
RELAY = """
import socket, sys, threading
link = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while piece := sys.stdin.buffer.read1(65536):
        link.sendall(piece)
threading.Thread(target=up, daemon=True).start()
while piece := link.recv(65536):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
"""


def said(board, fleet, command="echo out"):
    """The output of a command on a board."""
    transport = session.connect(board, fleet)
    try:
        channel = transport.run(command)
        found = b""
        while piece := channel.receive(65536, 10):
            found += piece
        channel.exit_code(5)
        return found
    finally:
        transport.close()


def logins(server, expected):
    """How often somebody logged in to a server; it may write of the last ones a little later."""
    return server.log("Accepted publickey", expected).count("Accepted publickey")


@pytest.fixture
def relay(tmp_path, own_home):
    """`relay(server)`: a configuration whose ProxyCommand reaches a server that HostName does not name."""

    def write(server):
        program = tmp_path / "relay 100%.py"
        program.write_text(RELAY)
        quoted = str(program).replace("%", "%%")
        (own_home / ".ssh" / "config").write_text(
            f'Host far\n  HostName 192.0.2.7\n  ProxyCommand {sys.executable} "{quoted}" 127.0.0.1 {server.port}\n'
        )

    return write


def test_a_proxy_command_is_run_by_the_program_that_auto_takes(relay, sshd, make_board, fleet):
    relay(sshd)
    board = make_board(sshd, address="far", ssh_client="auto")
    (shown,) = trust.scan(board, fleet)
    trust.pin(board, fleet, shown)
    assert said(board, fleet) == b"out\n" and logins(sshd, 1) == 1
    with pytest.raises(ConfigError) as refused:
        said(make_board(sshd, address="far", ssh_client="paramiko"), fleet)
    assert "ProxyCommand" in refused.value.message and "--ssh-client auto" in refused.value.hint


def test_a_proxy_command_says_nothing_about_whose_key_it_is(
    relay, sshd, make_board, fleet, pinned, new_key, tmp_path
):
    relay(sshd)
    pinned(fleet, "pi", new_key(tmp_path / "another"))
    with pytest.raises(TrustError, match="the host key of pi changed"):
        said(make_board(sshd, address="far"), fleet)


def test_a_jump_host_behind_a_proxy_command(relay, sshd, make_sshd, identity, make_board, fleet, pinned):
    relay(sshd)
    inner = make_sshd(identity)
    pinned(fleet, "pi", inner.host_key)
    pinned(fleet, f"192.0.2.7:{sshd.port}", sshd.host_key, jump=True)
    board = make_board(inner, jump=f"far:{sshd.port}", ssh_client="auto")
    assert said(board, fleet) == b"out\n" and (logins(sshd, 1), logins(inner, 1)) == (1, 1)


def test_algorithms_that_paramiko_lacks(identity, make_sshd, make_board, fleet, pinned):
    server = make_sshd(identity, lines=("KexAlgorithms sntrup761x25519-sha512@openssh.com",))
    pinned(fleet, "pi", server.host_key)
    assert said(make_board(server, ssh_client="auto"), fleet) == b"out\n"
    with pytest.raises(NoCommonAlgorithm, match="sntrup761"):
        said(make_board(server, ssh_client="paramiko"), fleet)


def test_no_common_algorithm_names_its_kind(identity, make_sshd, make_board, fleet, pinned, own_home):
    server = make_sshd(identity, lines=("Ciphers aes128-ctr",))
    pinned(fleet, "pi", server.host_key)
    (own_home / ".ssh" / "config").write_text("Host *\n  Ciphers aes256-ctr\n")
    with pytest.raises(
        Unreachable, match=r"no common cipher with pi .* it offers only aes128-ctr"
    ) as refused:
        said(make_board(server), fleet)
    assert "Ciphers" in refused.value.hint


def test_a_key_on_a_token_and_a_smart_card_are_for_the_program(own_home, sshd, make_board):
    ssh = own_home / ".ssh"
    board = make_board(sshd)
    assert choice.reason(config.endpoint(board, lookup())) == ""
    (ssh / "id_ed25519_sk.pub").write_text("sk-ssh-ed25519@openssh.com AAAA")
    assert choice.reason(config.endpoint(board, lookup())) == "a key on a security token"
    (ssh / "id_ed25519_sk.pub").unlink()
    (ssh / "config").write_text("Host *\n  PKCS11Provider /usr/lib/card.so\n")
    assert choice.reason(config.endpoint(board, lookup())) == "PKCS11Provider"


def test_an_agent_with_a_key_on_a_token_is_for_the_program(own_home, sshd, make_board, monkeypatch, tmp_path):
    """As `ssh-agent` lists it: a length, type 12, a count, then keys and comments."""
    blob = b"\0\0\0\x1ask-ssh-ed25519@openssh.com"
    keys = b"\x0c\0\0\0\1" + len(blob).to_bytes(4, "big") + blob + b"\0\0\0\2me"
    with socket.create_server(str(tmp_path / "agent"), family=socket.AF_UNIX) as listener:

        def answer():
            link, _ = listener.accept()
            with link:
                link.recv(5)
                link.sendall(len(keys).to_bytes(4, "big") + keys)

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert choice.reason(config.endpoint(make_board(sshd), lookup())) == "a key on a security token"
        thread.join()


def test_sessions_of_a_process_share_a_login(sshd, make_board, fleet, pinned):
    pinned(fleet, "pi", sshd.host_key)
    board = make_board(sshd)
    assert [said(board, fleet) for _ in range(3)] == [b"out\n"] * 3 and logins(sshd, 1) == 1
    place = next(iter(client._LOGINS._kept.values())).login.socket
    assert place.parent.stat().st_mode & 0o077 == 0 and place.is_socket()
    client.log_out()
    assert not place.parent.exists() and said(board, fleet) == b"out\n" and logins(sshd, 2) == 2


def test_a_login_that_was_cut_is_not_used_again(sshd, make_board, fleet, pinned, wait_for):
    pinned(fleet, "pi", sshd.host_key)
    board = make_board(sshd)
    transport = session.connect(board, fleet)
    transport.run("sleep 600")
    transport.close()
    assert said(board, fleet) == b"out\n" and logins(sshd, 2) == 2
    sshd.stop()
    sshd.start()
    assert said(board, fleet) == b"out\n" and logins(sshd, 3) == 3


def test_the_users_options_that_trust_or_run_things_are_not_passed_on(
    sshd, make_board, fleet, pinned, own_home, new_key, tmp_path
):
    (own_home / ".ssh" / "config").write_text(
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  ForwardAgent yes\n  PermitLocalCommand yes\n"
        f"  LocalCommand touch {tmp_path}/ran\n  RemoteCommand touch {tmp_path}/ran\n  RequestTTY force\n"
        "  LocalForward 127.0.0.1:1 127.0.0.1:2\n  ControlMaster auto\n  ControlPath ~/.ssh/%C\n"
    )
    pinned(fleet, "pi", sshd.host_key)
    assert said(make_board(sshd), fleet, "tty") == b"not a tty\n"
    assert sorted(path.name for path in (own_home / ".ssh").iterdir()) == [
        "config",
        "id_ed25519",
        "id_ed25519.pub",
    ]
    pinned(fleet, "pi", new_key(tmp_path / "another"))
    with pytest.raises(TrustError):
        said(make_board(sshd), fleet)
    assert not (tmp_path / "ran").exists()


def test_odd_file_names_are_passed_on(own_home, new_key, make_sshd, make_board, fleet, pinned):
    key = new_key(own_home / "a key, 100% mine")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    assert said(make_board(server, identity=str(key)), fleet) == b"out\n"
    odd = new_key(own_home / 'a "key"')
    with pytest.raises(ConfigError, match="cannot be given"):
        said(make_board(server, identity=str(odd)), fleet)


@pytest.mark.parametrize("value", ["x\nHost *", "x\x1b[31m"])
def test_no_value_begins_a_line_of_its_own(value):
    with pytest.raises(ConfigError, match="cannot be given"):
        private_config._whole_line(value)


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Enter passphrase for key '/home/me/id': ", "passphrase of /home/me/id"),
        ("me@edgewright-board's password: ", "password of me@127.0.0.1"),
        ("(me@edgewright-board) Password: ", "password of me@127.0.0.1"),
        ("(me@edgewright-board) Verification\x1b[31m code: ", "me@127.0.0.1 asks: Verification[31m code"),
        (
            "Enter PIN for ED25519-SK key /home/me/id_sk: ",
            "ssh asks: Enter PIN for ED25519-SK key /home/me/id_sk",
        ),
    ],
)
def test_prompts_have_the_words_of_the_other_client(prompt, kind, sshd, make_board, tmp_path):
    entry = private_config.Entry(
        name=private_config.BOARD, endpoint=config.endpoint(make_board(sshd), lookup())
    )
    prompts = Prompts(tmp_path, [entry], None)
    try:
        assert prompts._ours(prompt, "")[0] == kind
    finally:
        prompts.close()


KILLED = """
import os, sys
from pathlib import Path
from edgewright.connect import session
from edgewright.connect.ssh.openssh import client, login
from edgewright.nouns.board import Board, Fleet
login.KEPT_SECONDS = 1
board = Board(name="pi", address="127.0.0.1", port=int(sys.argv[1]), ssh_client="openssh")
session.connect(board, Fleet(name="f", path=Path(sys.argv[2]), boards={})).close()
print(client._LOGINS._folder.path, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_command_leaves_goes(sshd, make_board, fleet, pinned, wait_for, monkeypatch):
    pinned(fleet, "pi", sshd.host_key)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(sshd.port), str(fleet.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = Path(done.stdout.strip())
    assert left.is_dir() and wait_for(lambda: not sshd.children(), 20)  # the login ended by itself
    monkeypatch.setattr(scratch_folder, "_YOUNG_S", -1.0)
    assert said(make_board(sshd), fleet) == b"out\n" and not left.exists()


def test_a_hop_that_is_down(sshd, make_board, fleet, pinned):
    pinned(fleet, "pi", sshd.host_key)
    pinned(fleet, "127.0.0.1:1", sshd.host_key, jump=True)
    with pytest.raises(Unreachable, match=r"cannot reach jump host 127\.0\.0\.1 .*connection refused"):
        said(make_board(sshd, jump="127.0.0.1:1"), fleet)


def test_without_an_openssh_client(sshd, make_board, fleet, pinned, monkeypatch, tmp_path):
    pinned(fleet, "pi", sshd.host_key)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="needs the OpenSSH client") as refused:
        said(make_board(sshd), fleet)
    assert "openssh-client" in refused.value.hint
    assert said(make_board(sshd, ssh_client="auto"), fleet) == b"out\n"


def test_one_passphrase_and_one_password_may_open_two_servers(
    own_home, new_key, make_sshd, make_board, fleet, pinned
):
    key = new_key(own_home / "locked", "ed25519", "open sesame")
    outer, inner = make_sshd(key), make_sshd(key)
    pinned(fleet, "pi", inner.host_key)
    pinned(fleet, f"127.0.0.1:{outer.port}", outer.host_key, jump=True)
    (own_home / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {key}\n")
    board = make_board(inner, jump=f"127.0.0.1:{outer.port}")
    asked = []
    session.connect(board, fleet, lambda prompt: asked.append(prompt) or "open sesame").close()
    assert asked == [f"passphrase of {key}"] * 2


def test_a_person_may_think_while_a_jump_host_waits(
    own_home, new_key, make_sshd, make_board, fleet, pinned, monkeypatch
):
    key = new_key(own_home / "locked", "ed25519", "open sesame")
    outer, inner = make_sshd(key), make_sshd(key)
    pinned(fleet, "pi", inner.host_key)
    pinned(fleet, f"127.0.0.1:{outer.port}", outer.host_key, jump=True)
    (own_home / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {key}\n")
    monkeypatch.setattr(limits, "CONNECT_SECONDS", 2)
    board = make_board(inner, jump=f"127.0.0.1:{outer.port}")
    session.connect(board, fleet, lambda _: time.sleep(3) or "open sesame").close()


def test_boards_of_one_machine_have_logins_of_their_own(sshd, make_board, fleet, pinned):
    """A server allows ten sessions for a login, and a broken session ends its login."""
    names = [f"pi{number}" for number in range(12)]
    for name in names:
        pinned(fleet, name, sshd.host_key)
    transports = [session.connect(make_board(sshd, name), fleet) for name in names]
    channels = [transport.run("cat; echo fine") for transport in transports]
    transports[0].close()
    for channel in channels[1:]:
        channel.finish()
        assert channel.receive(16, 20) == b"fine\n"
    for transport in transports[1:]:
        transport.close()


def test_a_broken_session_leaves_another_of_its_board_alone(sshd, make_board, fleet, pinned):
    pinned(fleet, "pi", sshd.host_key)
    one, two = (session.connect(make_board(sshd), fleet) for _ in range(2))
    one.run("sleep 600")
    running = two.run("cat; echo fine")
    one.close()
    running.finish()
    assert running.receive(16, 20) == b"fine\n" and running.exit_code(5) == 0
    two.close()
    assert said(make_board(sshd), fleet) == b"out\n" and logins(sshd, 2) == 2


@pytest.mark.parametrize("words", ["Host key verification failed.", "Permission denied (publickey)."])
def test_a_banner_cannot_make_a_refusal_something_else(
    words, identity, new_key, tmp_path, make_sshd, make_board, fleet, pinned
):
    text = tmp_path / "banner"
    text.write_text(f"{words}\n")
    server = make_sshd(new_key(tmp_path / "another"), lines=(f"Banner {text}",))
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(AuthError, match="refused the login") as refused:
        said(make_board(server), fleet)
    assert str(identity) in refused.value.message


def test_the_log_of_a_login_has_an_end(sshd, make_board, fleet, pinned):
    """The process in the background holds no file that a server can fill."""
    pinned(fleet, "pi", sshd.host_key)
    said(make_board(sshd), fleet)
    kept = next(iter(client._LOGINS._kept.values()))
    done = subprocess.run(kept.login.command(["-O", "check"]), capture_output=True, text=True, check=True)
    pid = done.stderr.partition("pid=")[2].partition(")")[0]
    assert str(Path(f"/proc/{pid}/fd/2").readlink()).startswith(("pipe:", "/dev/null"))
    assert said(make_board(sshd), fleet, "echo log >&2") == b"" and logins(sshd, 1) == 1


NEW = "debug1: Offering public key: /home/me/id ED25519 SHA256:abc agent"
OLD = "debug1: Offering public key: ED25519 SHA256:abc /home/me/id"
METHODS = "debug1: Authentications that can continue: publickey,password"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([METHODS, NEW, METHODS, "me@x: Permission denied (publickey,password)."], "tried /home/me/id; it takes publickey or password"),
        ([METHODS, OLD, METHODS, "me@x: Permission denied (publickey,password)."], "tried /home/me/id; it takes publickey or password"),
        ([METHODS, NEW, 'Authenticated using "publickey" with partial success.', "me@x: Permission denied (password)."], "it accepted /home/me/id and wants more"),
        ([METHODS, OLD, "Authenticated with partial success.", "me@x: Permission denied (password)."], "it accepted /home/me/id and wants more"),
        ([METHODS, NEW, "Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures"], "tried /home/me/id"),
        (["Unable to negotiate with 1.2.3.4 port 22: no matching MAC found. Their offer: odd"], "no common MAC with pi .* only odd"),
        (["ssh: Could not resolve hostname nowhere: Name or service not known"], "cannot reach pi .*: could not resolve hostname"),
        (["Connection closed by UNKNOWN port 65535"], "the connection was closed"),
    ],
)  # fmt: skip
def test_logs_of_old_and_new_clients_are_read(lines, words, sshd, make_board):
    entry = private_config.Entry(
        name=private_config.BOARD, endpoint=config.endpoint(make_board(sshd), lookup())
    )
    found = failure(Attempt(code=255, log="\n".join(lines)), [entry])
    assert re.search(words, found.message), found.message


@pytest.mark.parametrize(
    ("line", "again"),
    [
        ("kex_exchange_identification: Connection closed by remote host", True),
        ("ssh_exchange_identification: Connection closed by remote host", True),
        ("Connection reset by 1.2.3.4 port 22", True),
        ("Connection timed out during banner exchange", False),
        (
            "Authenticated to edgewright-jump-0 ([1.2.3.4]:22).\nkex_exchange_identification: read: reset",
            True,
        ),
        ("debug1: Server host key: ssh-ed25519 SHA256:abc\nConnection closed by 1.2.3.4 port 22", False),
    ],
)
def test_only_a_busy_server_is_tried_again(line, again):
    log = f"debug1: Server host key: ssh-ed25519 SHA256:abc\n{line}" if line.startswith("Auth") else line
    assert Attempt(code=255, log=log).busy == again


def test_what_the_program_is_given(sshd, make_board, own_home):
    (own_home / ".ssh" / "config").write_text("Host *\n  StrictHostKeyChecking no\n  Ciphers aes256-ctr\n")
    endpoint = config.endpoint(make_board(sshd), lookup())
    entry = private_config.Entry(name=private_config.BOARD, endpoint=endpoint, pinned=("ssh-rsa AAAA",))
    lines = private_config.text([entry], Path("/hosts"), (9, 2)).splitlines()
    for line in (
        "StrictHostKeyChecking yes", "UserKnownHostsFile /hosts", "GlobalKnownHostsFile /dev/null", "UpdateHostKeys no",
        "ForwardAgent no", "PermitLocalCommand no", "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256", "ciphers aes256-ctr",
        "HostKeyAlias edgewright-board", "ConnectTimeout 10",
    ):  # fmt: skip
        assert f"  {line}" in lines
    assert lines.count("  StrictHostKeyChecking yes") == 1 and "no" not in {
        line.split()[-1] for line in lines if "StrictHostKey" in line
    }


def test_a_client_whose_questions_name_no_server_asks_none(sshd, make_board):
    endpoint = config.endpoint(make_board(sshd), lookup())
    entry = private_config.Entry(name=private_config.BOARD, endpoint=endpoint)
    old, new = (private_config.text([entry], Path("/h"), version) for version in ((8, 4), (8, 5)))
    assert "  KbdInteractiveAuthentication no" in old.splitlines()
    assert "  KbdInteractiveAuthentication no" not in new.splitlines()


@pytest.mark.parametrize("name", ["b'&>/tmp/x;'", "$(x)", "a b", "-oProxyCommand=x", "a`b`"])
def test_names_that_a_shell_takes_apart_are_refused(name, sshd, make_board):
    endpoint = config.endpoint(make_board(sshd), lookup())
    odd = replace(endpoint, settings=replace(endpoint.settings, hostname=name))
    with pytest.raises(ConfigError, match="not a name"):
        private_config.entry_of("x", odd, (), "")
    user = replace(endpoint.settings, user=name, proxy_command="nc %r")
    with pytest.raises(ConfigError, match="not a name"):
        private_config.entry_of("x", replace(endpoint, settings=user), (), "")


@pytest.mark.parametrize("name", ["long" * 20, "a b", "100%"])
def test_any_temporary_folder_will_do(name, tmp_path, sshd, make_board, fleet, pinned, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    pinned(fleet, "pi", sshd.host_key)
    assert said(make_board(sshd), fleet) == b"out\n"


def test_an_identity_file_that_cannot_be_reached(own_home, sshd, make_board, monkeypatch):
    def refused(*_, **__):
        raise PermissionError

    endpoint = config.endpoint(make_board(sshd, identity=str(own_home / ".ssh" / "id_ed25519")), lookup())
    monkeypatch.setattr(Path, "exists", refused)
    monkeypatch.setattr(Path, "is_file", refused)
    assert private_config.entry_of("x", endpoint, (), "").files
