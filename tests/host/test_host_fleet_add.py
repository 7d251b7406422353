"""`fleet add` for a known board: options that are not given stay, and it reports what a changed root leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import command_line

from edgewright.config import fleet as fleets
from edgewright.config import trust as trusts
from edgewright.nouns.board import Pin, TrustFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(
        '[boards.kitchen]\naddress = "192.0.2.1"\nuser = "pi"\nport = 2222\nlabels = ["a", "b"]\n'
    )
    return path


def add(path: Path, *arguments: object) -> str:
    ran = command_line("fleet", "add", *arguments, "--fleet", path)
    assert ran.code == 0, ran.err
    return ran.out + ran.err


def test_labels_are_merged_and_the_address_is_not_needed_again(path: Path) -> None:
    assert "labels a, b, c" in add(path, "kitchen", "--label", "c", "--label", "a")
    board = fleets.load(path).boards["kitchen"]
    assert board.labels == ("a", "b", "c")
    assert (board.address, board.user, board.port) == ("192.0.2.1", "pi", 2222)
    add(path, "kitchen", "--remove-label", "a", "--remove-label", "b", "--label", "d")
    assert fleets.load(path).boards["kitchen"].labels == ("c", "d")
    assert "as it was" in add(path, "kitchen", "192.0.2.1")


def test_a_new_board_needs_an_address(path: Path) -> None:
    ran = command_line("fleet", "add", "kitchn", "--label", "c", "--fleet", path)
    assert ran.code == 64 and "kitchn is not in fleet.toml: a new board needs an address" in ran.err
    assert list(fleets.load(path).boards) == ["kitchen"]


def test_a_changed_root_says_what_stays_and_forgets_the_id_of_the_old_one(path: Path) -> None:
    fleet = fleets.load(path)
    pin = Pin(host_key="ssh-ed25519 AAAA", board_id="f" * 32, serial="17")
    trusts.save(fleet, TrustFile(boards={"kitchen": pin}))
    said = add(path, "kitchen", "--root", "/data/edgewright")
    assert "~/.edgewright stays on kitchen as it is" in said and "rm -r ~/.edgewright" in said
    assert trusts.load(fleet).boards["kitchen"] == Pin(host_key="ssh-ed25519 AAAA", serial="17")
    assert "stays on" not in add(path, "kitchen", "--root", "/data/edgewright")


def test_an_ssh_address_gives_user_host_and_port(path: Path) -> None:
    add(path, "shelf", "ssh://admin@[fe80::1]:2200")
    board = fleets.load(path).boards["shelf"]
    assert (board.user, board.address, board.port) == ("admin", "fe80::1", 2200)
    add(path, "shelf", "ssh://shelf.lan")
    board = fleets.load(path).boards["shelf"]
    assert (board.user, board.address, board.port) == ("admin", "shelf.lan", 2200)  # as for shelf.lan alone
