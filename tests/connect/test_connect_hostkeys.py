"""Host keys, `known_hosts`, the SSH configuration, and pins."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.config import trust as trust_file
from edgewright.connect import trust
from edgewright.connect.ssh import config as ssh_config
from edgewright.connect.ssh import host_keys, known_hosts
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.connect.ssh.resolution.settings import HostSettings
from edgewright.errors import ConfigError, TrustError
from edgewright.nouns.board import Board, Pin, TrustFile


@pytest.fixture
def keys(new_key, tmp_path):
    """`<type> <base64>` of three keys."""
    found = {}
    for kind in ("ed25519", "ecdsa", "rsa"):
        path = new_key(tmp_path / "keys" / kind, kind)
        found[kind] = " ".join(path.with_name(f"{kind}.pub").read_text().split()[:2])
    return found


def at(path, address, port=22, **more):
    """An endpoint with one known_hosts file."""
    settings = HostSettings(
        hostname=address, user="me", port=port, identity_files=(), user_known_hosts=(path,), **more
    )
    return ssh_config.Endpoint(label="pi", board="pi", settings=settings)


def texts(path, address, port=22):
    """The keys found in a known_hosts file, as text."""
    return [key.text for key in known_hosts.trusted(at(path, address, port))]


def test_fingerprint_is_that_of_ssh_keygen(keys, tmp_path):
    for kind, text in keys.items():
        done = subprocess.run(
            ["ssh-keygen", "-lf", tmp_path / "keys" / f"{kind}.pub"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert host_keys.fingerprint(text) == done.stdout.split()[1]


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5", "a b c"]
)
def test_a_pin_that_is_no_key_is_refused(text):
    with pytest.raises(TrustError, match="not a host key"):
        host_keys.key_bytes(text)


def test_known_hosts_plain_hashed_and_with_a_port(keys, tmp_path):
    file = tmp_path / "known"
    file.write_text(f"# comment\n\npi,10.0.0.5 {keys['ed25519']}\n[pi]:2222 {keys['rsa']} a comment\n")
    assert texts(file, "10.0.0.5") == [keys["ed25519"]]
    assert texts(file, "pi", 2222) == [keys["rsa"]]
    assert texts(file, "other") == []
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    assert "pi" not in file.read_text().split()[0]
    assert texts(file, "PI".lower()) == [keys["ed25519"]]
    assert texts(file, "pi", 2222) == [keys["rsa"]]


def test_known_hosts_patterns_and_markers(keys, tmp_path):
    file = tmp_path / "known"
    file.write_text(
        f"*.lab,!bad.lab {keys['ed25519']}\n@cert-authority * {keys['rsa']}\n@revoked * {keys['ecdsa']}\n"
        f"pi?.lab {keys['ecdsa']}\n|1|broken {keys['rsa']}\n"
    )
    assert texts(file, "pi1.lab") == [keys["ed25519"]]
    assert texts(file, "bad.lab") == []


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_known_hosts_field_is_survived(patterns, name):
    assert known_hosts.matches(patterns, name) in (True, False)


def test_known_hosts_are_taken_over(keys, own_home, fleet):
    (own_home / ".ssh" / "known_hosts").write_text(f"10.0.0.5 {keys['rsa']}\n10.0.0.5 {keys['ed25519']}\n")
    board = Board(name="pi", address="10.0.0.5")
    found = trust.from_known_hosts(board, fleet)
    assert [key.text for key in found] == [keys["ed25519"], keys["rsa"]]
    assert {(key.host, key.jump) for key in found} == {("10.0.0.5:22", False)}
    trust.pin(board, fleet, *found)
    assert trust_file.load(fleet).boards["pi"].host_keys == (keys["ed25519"], keys["rsa"])


def test_the_pins_are_read_once_until_they_change(keys, fleet, monkeypatch):
    one, other = (Pin(host_key=keys[kind]) for kind in ("rsa", "ed25519"))
    with trust_file.changing(fleet) as trust:
        trust.boards["pi"] = one
    read: list[Path] = []
    whole = trust_file.strict.read
    monkeypatch.setattr(
        trust_file.strict, "read", lambda path, *a, **k: read.append(path) or whole(path, *a, **k)
    )
    assert [trust_file.load(fleet).boards["pi"] for _ in range(40)] == [one] * 40
    assert len(read) == 1
    with trust_file.changing(fleet) as trust:
        trust.boards["pi"] = other
    assert trust_file.load(fleet).boards["pi"] == other


def test_another_key_is_pinned_only_when_that_is_said(keys, fleet):
    board = Board(name="pi", address="10.0.0.5")
    old, new = (
        host_keys.HostKey(host="h", type=t.split()[0], base64=t.split()[1])
        for t in (keys["rsa"], keys["ecdsa"])
    )
    trust.pin(board, fleet, old)
    trust.check_identity(board, fleet, "id", "serial")
    trust.pin(board, fleet, old)
    assert trust_file.load(fleet).boards["pi"].board_id == "id"
    with pytest.raises(TrustError, match="another host key"):
        trust.pin(board, fleet, new)
    trust.pin(board, fleet, new, replace=True)
    assert trust_file.load(fleet).boards["pi"] == Pin(host_key=keys["ecdsa"])


@pytest.mark.parametrize(
    ("other", "board_id", "serial", "code"),
    [
        (Pin(host_key="ssh-ed25519 A", board_id="id", serial="s2"), "id", "s1", "board-cloned"),
        (Pin(host_key="ssh-ed25519 A", board_id="id2", serial="s2"), "id", "s1", "board-cloned"),
        (Pin(host_key="ssh-ed25519 B", board_id="id", serial=""), "id", "s1", "board-duplicate"),
        (Pin(host_key="ssh-ed25519 A", board_id="id", serial="s1"), "id", "s1", "board-duplicate"),
        (Pin(host_key="ssh-ed25519 A", board_id="id2", serial="s1"), "id", "s1", None),
        (Pin(host_key="ssh-ed25519 B", board_id="id2", serial="s2"), "id", "s1", None),
    ],
)
def test_copies_of_a_board_are_told(fleet, other, board_id, serial, code):
    trust_file.save(fleet, TrustFile(boards={"pi": Pin(host_key="ssh-ed25519 A"), "twin": other}))
    board = Board(name="pi", address="h")
    if code is None:
        trust.check_identity(board, fleet, board_id, serial)
        assert trust_file.load(fleet).boards["pi"].board_id == board_id
        return
    with pytest.raises(TrustError) as caught:
        trust.check_identity(board, fleet, board_id, serial)
    assert caught.value.code == code and "twin" in caught.value.message
    assert trust_file.load(fleet).boards["pi"].board_id == ""


def test_identity_can_be_forgotten(fleet):
    board = Board(name="pi", address="h")
    trust_file.save(
        fleet, TrustFile(boards={"pi": Pin(host_key="ssh-ed25519 A", board_id="old", serial="s")})
    )
    trust.forget_identity(board, fleet)
    trust.check_identity(board, fleet, "new", "s")
    assert trust_file.load(fleet).boards["pi"].board_id == "new"
    trust.unpin(board, fleet)
    assert trust_file.load(fleet).boards == {}


def test_many_boards_pinned_at_once_are_all_kept(fleet, keys):
    kind, encoded = keys["ed25519"].split()
    boards = [Board(name=f"pi{index}", address="h") for index in range(12)]
    key = host_keys.HostKey(host="h", type=kind, base64=encoded)
    threads = [threading.Thread(target=trust.pin, args=(board, fleet, key)) for board in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(trust_file.load(fleet).boards) == {board.name for board in boards}


CONFIG = """
Include more.conf
Host pi
  HostName 10.0.0.5
  User alice
  Port 2200
  IdentityFile ~/.ssh/pi_key
  IdentitiesOnly yes
  ProxyJump bob@gate:2201,inner
Host gate
  HostName gate.example.org
  ProxyJump outer
Host looped
  ProxyJump looped
"""


@pytest.fixture
def config(own_home):
    (own_home / ".ssh" / "config").write_text(CONFIG)
    (own_home / ".ssh" / "more.conf").write_text("Host outer\n  User carol\n  Port 2202\n")
    return lookup()


def test_ssh_config_is_followed(config, own_home):
    end = ssh_config.endpoint(Board(name="kitchen", address="pi"), config)
    assert (end.host, end.user, end.settings.identities_only) == ("10.0.0.5:2200", "alice", True)
    assert end.settings.identity_files == (own_home / ".ssh" / "pi_key",)
    assert [(hop.host, hop.jump) for hop in end.jumps] == [
        ("outer:2202", True),
        ("gate.example.org:2201", True),
        ("inner:22", True),
    ]
    assert [hop.user for hop in end.jumps][:2] == ["carol", "bob"]


def test_the_fleet_wins_over_the_ssh_config(config, own_home):
    board = Board(name="kitchen", address="pi", user="dan", port=99, jump="none", identity="~/key")
    end = ssh_config.endpoint(board, config)
    assert (end.host, end.user, end.jumps, end.identity) == ("10.0.0.5:99", "dan", (), own_home / "key")


@pytest.mark.parametrize(
    ("address", "jump", "words"),
    [
        ("pi", "looped", "loop"),
        ("pi", "a b", "not a jump host"),
        ("pi", "host:99999", "not a jump host"),
        ("pi", "-oProxyCommand=x y", "not a jump host"),
    ],
)
def test_jumps_that_cannot_be(config, address, jump, words):
    with pytest.raises(ConfigError, match=words):
        ssh_config.endpoint(Board(name="x", address=address, jump=jump), config)


def test_address_of_ipv6_and_jump_with_brackets(config):
    end = ssh_config.endpoint(Board(name="x", address="fe80::1", jump="me@[::1]:2203"), config)
    assert end.host == "[fe80::1]:22"
    assert (end.jumps[0].host, end.jumps[0].user) == ("[::1]:2203", "me")
