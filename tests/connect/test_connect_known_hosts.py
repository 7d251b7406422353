"""`known_hosts` files: held against `ssh-keygen -F` and the real `ssh`; what revokes a key; files that cannot be read."""

from __future__ import annotations

import errno
import getpass
import subprocess
from pathlib import Path

import pytest

from edgewright.connect.ssh import config as ssh_config
from edgewright.connect.ssh import known_hosts
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.connect.ssh.resolution.settings import HostSettings
from edgewright.errors import TrustError
from edgewright.nouns.board import Board

HOST = "127.0.0.1"
OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "PreferredAuthentications=none", "KexAlgorithms=curve25519-sha256"
)  # fmt: skip
SSH = ("ssh", *(part for option in OPTIONS for part in ("-o", option)))
REFUSED, ACCEPTED = "Host key verification failed", "Permission denied"  # a login would only take time

# name -> (lines of known_hosts, lines of the SSH configuration). {key}: the server's key; {wrong}, {other}: keys of its
# type and of another type; {port}: its port; {d}: a folder, which has the files `known` and, with {key}, `right`.
LINES: dict[str, tuple[str, str]] = {
    "with the port": ("[127.0.0.1]:{port} {key}", ""),
    "without the port": ("127.0.0.1 {key}", ""),
    "another port": ("[127.0.0.1]:1 {key}", ""),
    "nothing": ("", ""),
    "another key with the port": ("[127.0.0.1]:{port} {wrong}\n127.0.0.1 {key}", ""),
    "a key of another type with the port": ("[127.0.0.1]:{port} {other}\n127.0.0.1 {key}", ""),
    "several keys": ("127.0.0.1 {wrong}\n127.0.0.1 {other}\n127.0.0.1 {key}", ""),
    "revoked": ("@revoked 127.0.0.1 {key}\n127.0.0.1 {key}", ""),
    "revoked with the port": ("127.0.0.1 {key}\n@revoked [127.0.0.1]:{port} {key}", ""),
    "another key is revoked": ("@revoked 127.0.0.1 {wrong}\n127.0.0.1 {key}", ""),
    "another host's key is revoked": ("@revoked 127.0.0.2 {key}\n127.0.0.1 {key}", ""),
    "an authority": ("@cert-authority 127.0.0.1 {key}", ""),
    "an unknown marker": ("@trusted 127.0.0.1 {key}", ""),
    "two markers": ("@revoked @revoked 127.0.0.1 {key}\n127.0.0.1 {key}", ""),
    "a star": ("* {key}", ""),
    "a star in brackets": ("[127.0.0.1]:* {key}", ""),
    "a question mark": ("127.0.0.? {key}", ""),
    "a class is none": ("127.0.0.[12] {key}", ""),
    "negated": ("127.0.0.*,!127.0.0.1 {key}", ""),
    "negated with the port only": ("*,![127.0.0.1]:{port} {key}", ""),
    "only negated": ("!10.0.0.1 {key}", ""),
    "a list": ("pi,127.0.0.1,10.0.0.5 {key}", ""),
    "blanks": (" \t127.0.0.1 \t {key}", ""),
    "a comment after it": ("127.0.0.1 {key} root@pi", ""),
    "commented out": ("#127.0.0.1 {key}", ""),
    "lines that end as in DOS": ("127.0.0.1 {key}\r\n", ""),
    "broken base64": ("127.0.0.1 {key}!!", ""),
    "a type that is not the key's": ("127.0.0.1 ssh-rsa {base64}", ""),
    "cut off": ("127.0.0.1 ssh-ed25519", ""),
    "a form feed is no end of a line": ("127.0.0.9 {other} x\f127.0.0.1 {key}", ""),
    "a broken hash": ("|1|broken {key}\n|2|YQ==|YQ== {key}\n127.0.0.1 {key}", ""),
    "an alias": ("gate {key}", "HostKeyAlias gate"),
    "an alias has no port": ("[gate]:{port} {key}\n127.0.0.1 {key}", "HostKeyAlias gate"),
    "an alias in upper case": ("gate {key}", "HostKeyAlias GATE"),
    "an entry in upper case": ("GATE {key}", "HostKeyAlias gate"),
    "an alias with a pattern": ("g*,!gates {key}", "HostKeyAlias gate"),
    "two files": ("", "UserKnownHostsFile {d}/known {d}/right"),
    "no file": ("127.0.0.1 {key}", "UserKnownHostsFile none"),
    "a device": ("127.0.0.1 {key}", "UserKnownHostsFile /dev/null"),
    "a folder": ("127.0.0.1 {key}", "UserKnownHostsFile {d}"),
    "a missing file": ("127.0.0.1 {key}", "UserKnownHostsFile {d}/absent {d}/known"),
    "the system's file": ("", "GlobalKnownHostsFile {d}/right"),
    "the system's file revokes": ("127.0.0.1 {key}", "GlobalKnownHostsFile {d}/revoked"),
    "the user's file has another key": ("127.0.0.1 {wrong}", "GlobalKnownHostsFile {d}/right"),
}
# `ssh` accepts these, and we refuse them: a key that somebody revoked is trusted nowhere
STRICTER: dict[str, tuple[str, str]] = {
    "revoked without the port": ("@revoked 127.0.0.1 {key}\n[127.0.0.1]:{port} {key}", ""),
    "a tab after the marker": ("@revoked\t127.0.0.1 {key}\n127.0.0.1 {key}", ""),
}


@pytest.fixture
def words(sshd, new_key, tmp_path):
    """The words that stand in the tables."""
    keys = {
        "wrong": new_key(tmp_path / "wrong"),
        "other": new_key(tmp_path / "other", "ecdsa"),
        "key": sshd.host_key,
    }
    texts = {name: " ".join(Path(f"{path}.pub").read_text().split()[:2]) for name, path in keys.items()}
    (tmp_path / "right").write_text(f"{HOST} {texts['key']}\n")
    (tmp_path / "revoked").write_text(f"@revoked * {texts['key']}\n")
    return {**texts, "base64": texts["key"].split()[1], "port": sshd.port, "d": tmp_path}


def both(words, home, lines, options):
    """Whether `ssh` and whether we accept the server's key."""
    (words["d"] / "known").write_text(lines.format(**words), newline="")
    settings = options.format(**words)
    for keyword, usual in (("UserKnownHostsFile", f"{words['d']}/known"), ("GlobalKnownHostsFile", "none")):
        if keyword not in settings:
            settings += f"\n{keyword} {usual}"
    file = home / ".ssh" / "config"
    file.write_text(f"Host {HOST}\n{settings}\n")
    ran = subprocess.run(
        [*SSH, "-F", file, "-p", str(words["port"]), f"{getpass.getuser()}@{HOST}", "true"],
        capture_output=True,
        text=True,
    )
    assert (REFUSED in ran.stderr) is not (ACCEPTED in ran.stderr), ran.stderr
    board = Board(name="pi", address=HOST, port=words["port"])
    found = known_hosts.trusted(ssh_config.endpoint(board, lookup()))
    return ACCEPTED in ran.stderr, words["key"] in [key.text for key in found]


def test_the_keys_that_ssh_accepts_are_trusted(words, own_home):
    found = {name: both(words, own_home, *row) for name, row in LINES.items()}
    assert {name: pair for name, pair in found.items() if pair[0] is not pair[1]} == {}
    assert {pair[0] for pair in found.values()} == {True, False}


@pytest.mark.parametrize(
    ("line", "around", "accepted"),
    [
        ("[127.0.0.1]:{port} {key}", "", True),
        ("127.0.0.1 {key}", "", True),
        ("[127.0.0.1]:1 {key}", "", False),
        ("[127.0.0.1]:{port} {key}", "127.0.0.1 {key}\n@revoked ", False),
    ],
)
def test_hashed_entries_are_those_of_ssh(words, own_home, line, around, accepted):
    file = words["d"] / "plain"
    file.write_text(f"{line.format(**words)}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    assert file.read_text().startswith("|1|")
    assert both(words, own_home, around + file.read_text(), "") == (accepted, accepted)


@pytest.mark.parametrize("name", STRICTER)
def test_a_revoked_key_is_refused_where_ssh_takes_it(words, own_home, name):
    assert both(words, own_home, *STRICTER[name]) == (True, False)


def at(*paths, address="pi", port=22, **more):
    """An endpoint with known_hosts files."""
    settings = HostSettings(
        hostname=address, user="me", port=port, identity_files=(), user_known_hosts=paths, **more
    )
    return ssh_config.Endpoint(label="pi", board="pi", settings=settings)


@pytest.mark.parametrize("name", ["pi", "[pi]:2222", "pi.lan", "10.0.0.5", "other", "PI"])
def test_a_name_is_found_as_ssh_keygen_finds_it(name, new_key, tmp_path):
    key = " ".join(Path(f"{new_key(tmp_path / 'key')}.pub").read_text().split()[:2])
    file = tmp_path / "known"
    file.write_text(f"pi,10.0.0.? {key}\n*.lan,!no.lan {key}\n[pi]:2222 {key}\n")
    ran = subprocess.run(["ssh-keygen", "-F", name, "-f", file], capture_output=True, text=True)
    lines = [
        entry.line for entry in known_hosts.entries(file) if known_hosts.matches(entry.hosts, name.lower())
    ]
    assert lines == [int(line.split()[-1]) for line in ran.stdout.splitlines() if "found: line" in line]


def test_revoked_keys_are_named_with_their_file_and_line(new_key, tmp_path):
    keys = [" ".join(Path(f"{new_key(tmp_path / name)}.pub").read_text().split()[:2]) for name in "ab"]
    user, system = tmp_path / "user", tmp_path / "system"
    user.write_text(f"# all\n@revoked pi {keys[0]}\n@revoked other {keys[1]}\n")
    system.write_text(f"\n\n@revoked [pi]:2222 {keys[1]}\n@revoked pi {keys[0]}\n")
    end = at(user, port=2222, global_known_hosts=(system,))
    assert {entry.key for entry in known_hosts.revoked(end)} == set(keys)
    assert [entry.key for entry in known_hosts.revoked(at(user))] == [keys[0]]
    with pytest.raises(TrustError, match="the host key of pi is revoked: SHA256:") as caught:
        known_hosts.refuse_revoked(end, keys[1])
    assert caught.value.code == "host-key-revoked" and f"line 3 of {system}" in caught.value.hint


def test_bits_that_base64_ignores_hide_no_revocation(new_key, tmp_path):
    kind, encoded = Path(f"{new_key(tmp_path / 'key', 'ecdsa')}.pub").read_text().split()[:2]
    assert encoded.endswith("=")
    last = encoded.rstrip("=")[-1]
    twin = encoded.replace(f"{last}=", f"{chr(ord(last) + 1)}=")
    file = tmp_path / "known"
    file.write_text(f"@revoked pi {kind} {twin}\n")
    assert twin != encoded and tuple(entry.key for entry in known_hosts.revoked(at(file))) == (
        f"{kind} {encoded}",
    )


def test_a_binary_file_has_no_keys(tmp_path):
    file = tmp_path / "known"
    file.write_bytes(bytes(range(256)) * 400 + b"\n@\n@revoked\n@revoked pi\n\x0b \x0b \x0b\n")
    assert (
        known_hosts.trusted(at(file)) == []
        and tuple(entry.key for entry in known_hosts.revoked(at(file))) == ()
    )


def test_a_file_of_50_mb_is_refused_unread(tmp_path, monkeypatch):
    file = tmp_path / "known"
    with file.open("wb") as stream:
        stream.truncate(50_000_000)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(TrustError, match="larger than 16 MiB") as caught:
        known_hosts.trusted(at(file))
    assert str(file) in caught.value.message and caught.value.hint


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    file = tmp_path / "known"
    file.write_text("pi ssh-ed25519 AAAA\n")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TrustError, match=r"cannot read .*known: permission denied") as caught:
        tuple(entry.key for entry in known_hosts.revoked(at(file)))
    assert "make it readable" in caught.value.hint


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch, new_key):
    key = " ".join(Path(f"{new_key(tmp_path / 'key')}.pub").read_text().split()[:2])
    file = tmp_path / "known"
    file.write_text(f"pi {key}\n")
    opened: list[Path] = []
    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: opened.append(path) or whole(path, *a, **k))
    assert [len(known_hosts.trusted(at(file))) for _ in range(9)] == [1] * 9 and opened == [file]
    with file.open("a") as stream:
        stream.write(f"@revoked pi {key}\n")
    assert known_hosts.trusted(at(file)) == []
