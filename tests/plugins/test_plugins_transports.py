"""The transport that a board's address names."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.cli.board_address import split_address
from edgewright.config.fleet import load
from edgewright.connect.transports import named_by, transport_of
from edgewright.errors import ConfigError, UsageError
from edgewright.nouns.board import Board


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("pi.lan", "ssh"),
        ("192.0.2.7", "ssh"),
        ("fe80::1", "ssh"),
        ("::1", "ssh"),
        ("local:", "local"),
        ("localhost", "ssh"),
        ("nobody:has-this", "ssh"),
    ],
)
def test_an_address_names_a_transport(address: str, name: str) -> None:
    assert named_by(address) == name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("local:", (None, "local:", None)),
        ("pi@local:22", ("pi", "local", 22)),
        ("pi@192.0.2.7:2222", ("pi", "192.0.2.7", 2222)),
        ("[::1]:22", (None, "::1", 22)),
        ("ssh://pi@192.0.2.7:2222", ("pi", "192.0.2.7", 2222)),
        ("ssh://kitchen", (None, "kitchen", None)),
        ("SSH://kitchen/", (None, "kitchen", None)),
        ("ssh://[fe80::1%eth0]:2222", (None, "fe80::1%eth0", 2222)),
        ("ssh://pi@[::1]", ("pi", "::1", None)),
        ("ssh://pi%40lab@kitchen", ("pi@lab", "kitchen", None)),
        ("ssh://local:22", (None, "local", 22)),
    ],
)
def test_what_follows_the_colon_of_a_transport_is_no_port(text: str, parts: tuple[object, ...]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize("text", ["local:else", "pi@local:/dev/tty", "nobody:has-this"])
def test_what_a_transport_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"not an address|not a port"):
        split_address(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssh://", "no address"),
        ("ssh://pi@", "no address"),
        ("ssh://@kitchen", "no address"),
        ("ssh://:22", "no address"),
        ("ssh://kitchen:0", "not a port: 0"),
        ("ssh://kitchen:99999", "not a port: 99999"),
        ("ssh://kitchen:x", "not a port: x"),
        ("ssh://[::1]22", "not an address"),
        ("ssh://[::1", "not an address"),
        ("ssh://::1", "not an address"),
        ("ssh://kitchen/models", "not an address"),
        ("ssh://kitchen?x", "not an address"),
        ("ssh://pi:secret@kitchen", "an address has no password"),
        ("ssh://pi:secret@kitchen/models", "an address has no password"),
        ("http://kitchen", "not an address"),
    ],
)
def test_an_address_that_is_no_ssh_address_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        split_address(text)
    assert caught.value.hint and "secret" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("address", ["local:else", "local:22"])
def test_a_fleet_file_cannot_take_this_machine_for_another_board(address: str) -> None:
    assert transport_of(Board(name="b", address="local:")).name == "local"
    with pytest.raises(UsageError, match=f"not an address: {address}"):
        transport_of(Board(name="b", address=address))


def fleet_with(folder: Path, address: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(f'[boards.a]\naddress = "{address}"\n')
    return path


@pytest.mark.parametrize(
    "address", ["local:", "pi.lan", "192.0.2.7", "::1", "fe80::1%eth0", "2001:db8::1", "acme:/dev/ttyUSB0"]
)
def test_a_fleet_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    about = tmp_path / "acme-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[edgewright.transports]\nacme = no_such_module:TRANSPORT\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load(fleet_with(tmp_path, address)).boards["a"].address == address


@pytest.mark.parametrize(
    ("address", "message", "hint"),
    [
        ("nobody:has-this", "names no transport: nobody:has-this", "transports are local, ssh; a host"),
        ("localhost:", "names no transport: localhost:", "transports are local, ssh; a host"),
        ("fe80:::1", "names no transport: fe80:::1", "transports are local, ssh; a host"),
        ("pi.lan:2222", "has a port: pi.lan:2222", 'write address = "pi.lan" and port = 2222'),
        ("192.0.2.7:22", "has a port: 192.0.2.7:22", 'write address = "192.0.2.7" and port = 22'),
        ("pi@pi.lan:22", "not an address of a: 'pi@pi.lan:22'", "a host name"),
    ],
)
def test_a_fleet_file_with_a_word_that_is_no_transport_is_refused(
    tmp_path: Path, address: str, message: str, hint: str
) -> None:
    path = fleet_with(tmp_path, address)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert str(path) in error.value.message and error.value.message.endswith(message)
    assert error.value.hint.startswith(hint)


def test_the_name_of_the_transport_without_a_prefix_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an address: ssh:pi"):
        transport_of(Board(name="b", address="ssh:pi"))
