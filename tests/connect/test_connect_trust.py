"""Trust, against real servers: several keys, revoked keys, jump hosts with new keys, `fleet trust` and its hints."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import msgspec
import pytest
from command_line import command_line

from edgewright.api.on_boards import on_boards
from edgewright.config import fleet as fleets
from edgewright.config import trust as trust_file
from edgewright.connect import session, trust
from edgewright.connect.opener import Opener
from edgewright.connect.ssh import config as ssh_config
from edgewright.connect.ssh import pins
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.errors import ConfigError, TrustError, Unreachable
from edgewright.nouns.board import BoardEntry, Fleet, FleetFile, Pin, TrustFile

SSH_CLIENTS = ("paramiko", "openssh")  # every test of a login runs with both


def text(key):
    """`<type> <base64>` of a key pair."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def log_in(board, fleet):
    """The output of a command on the board."""
    transport = session.connect(board, fleet)
    try:
        return transport.run("echo here").receive(64, 10)
    finally:
        transport.close()


def with_key(server, key):
    """Starts a server again with another host key."""
    server.stop()
    server.host_key = key
    server.start()


def known(home, *lines):
    (home / ".ssh" / "known_hosts").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def keys(new_key, tmp_path):
    """Key pairs for servers by name."""
    kinds = {"old": "ed25519", "new": "ed25519", "rsa": "rsa", "third": "ecdsa"}
    return {name: new_key(tmp_path / "keys" / name, kind) for name, kind in kinds.items()}


@pytest.fixture
def pin_all(fleet, keys):
    """`pin_all("pi", "old", "new")`: pins these keys of a board, or of a jump host `address:port`."""

    def pin(name, *which):
        texts = [text(keys.get(key, key)) for key in which]
        with trust_file.changing(fleet) as file:
            table = file.hosts if ":" in name else file.boards
            table[name] = Pin(host_key=texts[0], other_keys=tuple(texts[1:]))

    return pin


@pytest.fixture
def written(fleet):
    """`written(board)`: writes boards to the fleet's file, and returns `fleet trust` with options."""

    def write(*boards):
        entries = {
            board.name: BoardEntry(
                address=board.address, user=board.user, port=board.port, root=board.root, jump=board.jump
            )
            for board in boards
        }
        fleets.save(fleet.path, FleetFile(boards=entries))

        def run(*options):
            return command_line("fleet", "trust", "all", *options, "--fleet", fleet.path)

        return run

    return write


# several keys


@pytest.mark.parametrize("shown", ["old", "new", "rsa"])
def test_a_login_is_right_with_any_of_the_pinned_keys(sshd, make_board, fleet, keys, pin_all, shown):
    pin_all("pi", "old", "rsa", "new")
    with_key(sshd, keys[shown])
    assert log_in(make_board(sshd), fleet) == b"here\n"


def test_a_key_beside_the_pinned_ones_is_refused_with_all_fingerprints(
    sshd, make_board, fleet, keys, pin_all
):
    pin_all("pi", "old", "rsa", "new")
    with pytest.raises(
        TrustError, match=r"pinned SHA256:\S+, SHA256:\S+, SHA256:\S+, shown SHA256:"
    ) as caught:
        log_in(make_board(sshd), fleet)
    assert caught.value.code == "host-key-changed" and "Accepted" not in sshd.log()


def test_a_jump_host_may_have_several_keys_too(sshd, make_sshd, identity, make_board, fleet, keys, pin_all):
    inner = make_sshd(identity)
    pin_all("pi", inner.host_key)
    pin_all(f"127.0.0.1:{sshd.port}", "old", sshd.host_key)
    assert log_in(make_board(inner, jump=f"127.0.0.1:{sshd.port}"), fleet) == b"here\n"


def test_the_pinned_keys_of_an_endpoint_are_all_given(make_board, sshd, fleet, keys, pin_all):
    board = make_board(sshd)
    pin_all("pi", "old", "rsa")
    end = ssh_config.endpoint(board, lookup())
    assert pins.pin_of(board, fleet)(end) == (text(keys["old"]), text(keys["rsa"]))


def test_one_key_is_written_as_it_always_was(fleet, keys, pin_all):
    pin_all("pi", "old")
    assert (
        trust_file.path_of(fleet).read_text()
        == f'schema = 1\n\n[boards.pi]\nhost_key = "{text(keys["old"])}"\n'
    )
    pin_all("pi", "old", "rsa")
    assert f'other_keys = [\n    "{text(keys["rsa"])}",\n]' in trust_file.path_of(fleet).read_text()
    assert trust_file.load(fleet).boards["pi"].host_keys == (text(keys["old"]), text(keys["rsa"]))


def test_an_older_version_refuses_a_file_with_several_keys(fleet, pin_all):
    pin_all("pi", "old", "rsa")
    with pytest.raises(ConfigError, match="has schema 2, this version reads up to 1") as caught:
        trust_file.strict.read(trust_file.path_of(fleet), TrustFile, what="trust file", schema=1)
    assert caught.value.code == "newer-schema"
    pin_all("pi", "old")  # one key again: all versions read it
    assert trust_file.path_of(fleet).read_text().startswith("schema = 1\n")


def test_every_key_that_known_hosts_trusts_is_pinned(sshd, make_board, fleet, keys, own_home, written):
    board, port = make_board(sshd), sshd.port
    known(
        own_home,
        f"[127.0.0.1]:{port} {text(keys['third'])}",
        f"[127.0.0.1]:{port} {text(sshd.host_key)}",
        f"[127.0.0.1]:{port} ssh-dss AAAAB3NzaC1kc3MA",
        f"@revoked [127.0.0.1]:{port} {text(keys['rsa'])}",
        f"[127.0.0.1]:{port} {text(keys['rsa'])}",
    )
    ran = written(board)("--yes")
    assert ran.code == 0 and ran.out.count("SHA256:") == 2, ran
    assert trust_file.load(fleet).boards["pi"].host_keys == (text(sshd.host_key), text(keys["third"]))
    with_key(sshd, keys["third"])  # the rotation
    assert log_in(board, fleet) == b"here\n"


def test_the_shown_key_is_pinned_alone_if_known_hosts_has_others(
    sshd, make_board, fleet, keys, own_home, written
):
    known(own_home, f"[127.0.0.1]:{sshd.port} {text(keys['third'])}")
    ran = written(make_board(sshd))("--yes", "--json")
    assert ran.code == 0
    assert [row["message"] for row in ran.json["keys"]] == ["pinned, although known_hosts trusts another key"]
    assert trust_file.load(fleet).boards["pi"].host_keys == (text(sshd.host_key),)


def test_a_key_of_the_type_that_known_hosts_has_is_asked_for(
    identity, make_sshd, make_board, fleet, keys, own_home
):
    server = make_sshd(identity, lines=(f"HostKey {keys['rsa']}",))
    known(own_home, f"[127.0.0.1]:{server.port} {text(keys['rsa'])}")
    (key,) = trust.scan(make_board(server), fleet)
    assert key.text == text(keys["rsa"])


def test_new_keys_of_known_hosts_join_a_pinned_one(sshd, make_board, fleet, keys, own_home, written, pin_all):
    pin_all("pi", sshd.host_key)
    board = make_board(sshd)
    trust.check_identity(board, fleet, "id", "serial")
    known(own_home, *(f"[127.0.0.1]:{sshd.port} {text(key)}" for key in (sshd.host_key, keys["rsa"])))
    run = written(board)
    refused = run("--known-hosts")
    assert refused.code == 2 and "cannot prompt" in refused.out
    kept = run("--json")  # the shown key is pinned: this is no failure
    messages = [row["message"] for row in kept.json["keys"]]
    assert kept.code == 0 and messages == ["pinned already; 1 more in known_hosts: --yes pins them"]
    assert trust_file.load(fleet).boards["pi"].host_keys == (text(sshd.host_key),)
    assert run("--known-hosts", "--yes").code == 0
    pin = trust_file.load(fleet).boards["pi"]
    assert pin.host_keys == (text(sshd.host_key), text(keys["rsa"]))
    assert (pin.board_id, pin.serial) == ("id", "serial")
    assert run("--known-hosts").code == 0  # nothing to ask


def test_replace_replaces_all_keys(sshd, make_board, fleet, written, pin_all):
    pin_all("pi", "old", "rsa")
    trust.check_identity(make_board(sshd), fleet, "id", "serial")
    run = written(make_board(sshd))
    refused = run("--yes")
    assert refused.code == 2 and "pi: hint: either it was set up again" in refused.err
    assert run("--yes", "--replace").code == 0
    assert trust_file.load(fleet).boards["pi"] == Pin(host_key=text(sshd.host_key))


def test_two_boards_that_show_one_key_are_copies(fleet, keys, pin_all):
    pin_all("pi", "old", "rsa")
    pin_all("twin", "old", "new")
    with trust_file.changing(fleet) as file:
        file.boards["twin"] = msgspec.structs.replace(file.boards["twin"], board_id="other", serial="s2")
    with pytest.raises(TrustError, match="are copies"):
        trust.check_identity(ssh_config.Board(name="pi", address="h"), fleet, "id", "s1")


def test_a_key_that_known_hosts_has_for_two_boards_makes_no_copies(fleet, keys, pin_all):
    """Such as the key of an older machine at an address that was used again."""
    pin_all("pi", "old", "rsa")
    pin_all("twin", "new", "rsa")
    with trust_file.changing(fleet) as file:
        file.boards["twin"] = msgspec.structs.replace(file.boards["twin"], board_id="other", serial="s2")
    trust.check_identity(ssh_config.Board(name="pi", address="h"), fleet, "id", "s1")


@pytest.mark.parametrize("shared", ["alias", "pattern"])
def test_keys_that_other_hosts_share_are_not_pinned_beside_the_shown_one(
    shared, sshd, make_board, fleet, keys, own_home, written
):
    name = "boards" if shared == "alias" else "[127.0.0.*]:*"
    lines = [f"{name} {key}\n" for key in (text(sshd.host_key), keys["rsa"])]
    (own_home / ".ssh" / "known_hosts").write_text("".join(lines))
    if shared == "alias":
        (own_home / ".ssh" / "config").write_text("Host *\n  HostKeyAlias boards\n")
    assert written(make_board(sshd))("--yes").code == 0
    assert trust_file.load(fleet).boards["pi"].host_keys == (text(sshd.host_key),)


# revoked keys


def test_a_revoked_key_is_refused_although_it_is_pinned(sshd, make_board, fleet, own_home, pin_all, written):
    pin_all("pi", sshd.host_key)
    known(own_home, "", f"@revoked * {text(sshd.host_key)}")
    with pytest.raises(TrustError, match="the host key of pi is revoked: SHA256:") as caught:
        log_in(make_board(sshd), fleet)
    assert caught.value.code == "host-key-revoked" and "Accepted" not in sshd.log()
    assert f"line 2 of {own_home}/.ssh/known_hosts" in caught.value.hint
    run = written(make_board(sshd))
    for options in (
        ("--yes",),
        ("--yes", "--replace"),
        ("--yes", "--known-hosts"),
        ("--yes", "--known-hosts", "--replace"),
    ):
        ran = run(*options)
        assert ran.code == 2 and "the host key of pi is revoked: SHA256:" in ran.out, options
        assert "line 2 of" in ran.err, options
        (row,) = run(*options, "--json").json["keys"]
        assert row["code"] == "host-key-revoked" and "line 2 of" in row["hint"] and not row["ok"]
    assert trust_file.load(fleet).boards["pi"] == Pin(host_key=text(sshd.host_key))


def test_the_other_pinned_key_stays_right_after_a_revocation(
    identity, make_sshd, make_board, fleet, keys, own_home, pin_all
):
    server = make_sshd(identity, lines=(f"HostKey {keys['rsa']}",))
    pin_all("pi", server.host_key, "rsa")
    known(own_home, f"@revoked * {text(server.host_key)}")
    assert log_in(make_board(server), fleet) == b"here\n"


def test_a_revoked_key_that_a_server_shows_beside_a_valid_pin_is_named(
    sshd, make_board, fleet, own_home, pin_all
):
    pin_all("pi", "new", sshd.host_key)
    known(own_home, f"@revoked * {text(sshd.host_key)}")
    with pytest.raises(TrustError, match="revoked"):
        log_in(make_board(sshd), fleet)


def test_a_revoked_key_of_a_jump_host_is_refused(
    sshd, make_sshd, identity, make_board, fleet, own_home, pin_all
):
    inner = make_sshd(identity)
    pin_all("pi", inner.host_key)
    pin_all(f"127.0.0.1:{sshd.port}", sshd.host_key)
    known(own_home, f"@revoked [127.0.0.1]:{sshd.port} {text(sshd.host_key)}")
    with pytest.raises(TrustError, match=r"jump host 127\.0\.0\.1 is revoked"):
        log_in(make_board(inner, jump=f"127.0.0.1:{sshd.port}"), fleet)
    assert "Accepted" not in sshd.log()


def test_a_file_that_may_revoke_and_is_too_large_stops_the_login(sshd, make_board, fleet, own_home, pin_all):
    pin_all("pi", sshd.host_key)
    with (own_home / ".ssh" / "known_hosts").open("wb") as stream:
        stream.truncate(50_000_000)
    with pytest.raises(TrustError, match="larger than 16 MiB"):
        log_in(make_board(sshd), fleet)


# jump hosts


@pytest.fixture
def behind(sshd, make_sshd, identity, make_board, pin_all):
    """A board behind a jump host, with both keys pinned, and the servers of both."""
    inner = make_sshd(identity)
    pin_all("pi", inner.host_key)
    pin_all(f"127.0.0.1:{sshd.port}", sshd.host_key)
    return make_board(inner, jump=f"{getpass.getuser()}@127.0.0.1:{sshd.port}"), sshd, inner


def test_the_hint_of_a_changed_jump_host_pins_it_again(behind, fleet, keys, written):
    board, jump, inner = behind
    with_key(jump, keys["new"])
    with pytest.raises(TrustError, match="jump host") as caught:
        log_in(board, fleet)
    assert "edgewright fleet trust pi --replace" in caught.value.hint
    ran = written(board)("--replace", "--yes", "--json")
    assert ran.code == 0, ran
    assert [(row["host"], row["message"]) for row in ran.json["keys"]] == [
        (f"127.0.0.1:{jump.port}", "pinned"),
        (f"127.0.0.1:{inner.port}", "pinned"),
    ]
    assert trust_file.load(fleet).hosts[f"127.0.0.1:{jump.port}"].host_key == text(keys["new"])
    assert log_in(board, fleet) == b"here\n"


def test_a_changed_jump_host_is_not_pinned_without_replace(behind, fleet, keys, written):
    board, jump, _ = behind
    with_key(jump, keys["new"])
    before = trust_file.load(fleet)
    ran = written(board)("--yes")
    assert ran.code == 2 and "the host key of jump host 127.0.0.1 changed" in ran.out
    assert "edgewright fleet trust pi --replace" in ran.err
    assert trust_file.load(fleet) == before


def test_a_jump_host_that_did_not_change_is_not_asked_for_again(behind, fleet, keys, written):
    board, _, inner = behind
    with_key(inner, keys["third"])
    ran = written(board)("--replace", "--yes", "--json")
    assert [row["host"] for row in ran.json["keys"]] == [f"127.0.0.1:{inner.port}"] and ran.code == 0
    assert log_in(board, fleet) == b"here\n"


def test_a_jump_host_that_is_missing_in_known_hosts_is_named(behind, fleet, own_home, written):
    board, jump, inner = behind
    known(own_home, f"[127.0.0.1]:{inner.port} {text(inner.host_key)}")
    assert written(board)("--known-hosts").code == 0  # its pin is there
    trust_file.save(fleet, TrustFile())
    ran = written(board)("--known-hosts", "--yes")
    assert ran.code == 2 and "no usable host key of jump host" in ran.out and "known_hosts" in ran.out
    assert trust_file.load(fleet) == TrustFile()
    known(own_home, f"[127.0.0.1]:{jump.port} {text(jump.host_key)}")
    ran = written(board)("--known-hosts", "--yes")
    assert ran.code == 2 and "no usable host key of pi" in ran.out and "ssh" in ran.err


@pytest.mark.ssh_clients("paramiko")  # of `ssh`, the refusal arrives with the end of the command
def test_a_session_that_a_board_refuses_blames_no_jump_host(identity, make_sshd, make_board, fleet, pin_all):
    server = make_sshd(identity, lines=("MaxSessions 0",))
    pin_all("pi", server.host_key)
    with pytest.raises(Unreachable) as caught:
        log_in(make_board(server), fleet)
    assert "refused to open a session" in caught.value.message and "jump" not in caught.value.message


# the command


def test_every_refusal_has_its_hint(sshd, make_board, fleet, keys, written, pin_all):
    boards = [
        make_board(sshd, "down", port=1),
        make_board(sshd, "misspelt", address="no-such-board.invalid"),
        make_board(sshd, "changed"),
        make_board(sshd, "unasked"),
        make_board(sshd, "hop", jump="127.0.0.1:1"),
    ]
    pin_all("changed", "old")
    run = written(*boards)
    ran = run()
    hints = {
        "down": "the machine is up, its sshd is not",
        "misspelt": "is the address spelled right?",
        "changed": "edgewright fleet trust changed --replace",
        "unasked": "ssh_host_ed25519_key.pub` on the board, then use --yes",
        "hop": "the machine is up, its sshd is not",
    }
    assert ran.code == 2
    for name, hint in hints.items():
        assert any(line.startswith(f"{name}: hint: ") and hint in line for line in ran.err.splitlines()), name
    rows = {row["board"]: row for row in run("--json").json["keys"]}
    assert {name for name in hints if hints[name] in rows[name]["hint"]} == set(hints)
    assert all(row["message"] and row["hint"] not in row["message"] for row in rows.values())
    assert "5 of 5 boards failed: follow the hints above" in ran.err


def test_a_board_with_another_key_is_refused_and_the_others_go_on(
    make_sshd, identity, make_board, fleet, keys, pin_all
):
    """A key that changes between two logins of one command, as in the middle of a rollout."""
    first, second = make_sshd(identity), make_sshd(identity)
    boards = [make_board(first, "a", python=sys.executable), make_board(second, "b", python=sys.executable)]
    for board, server in zip(boards, (first, second), strict=True):
        pin_all(board.name, server.host_key)
    open_again = Opener(fleet)

    def work(board, opened, progress):
        opened.close()
        if board.name == "a":
            with_key(first, keys["new"])
        with open_again(board) as again:
            return again.greeting.board_id

    both = Fleet(name="test", path=fleet.path, boards={board.name: board for board in boards})
    refused, other = on_boards(both, "status", work)
    assert refused.error.code == "host-key-changed" and "\n" not in refused.error.message
    assert "the host key of a changed: pinned SHA256:" in refused.error.message
    assert other.error is None and other.value == trust_file.load(fleet).boards["b"].board_id
