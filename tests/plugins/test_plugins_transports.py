"""Which transport a board's address names."""

from __future__ import annotations

import pytest

from edgewright.cli.commands.fleet import split_address
from edgewright.connect.transports import named_by, transport_of
from edgewright.errors import UsageError
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
    ],
)
def test_what_follows_the_colon_of_a_transport_is_no_port(text: str, parts: tuple[object, ...]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize("text", ["local:else", "pi@local:/dev/tty", "nobody:has-this"])
def test_what_a_transport_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"not an address|not a port"):
        split_address(text)


@pytest.mark.parametrize("address", ["local:else", "local:22"])
def test_a_fleet_file_cannot_take_this_machine_for_another_board(address: str) -> None:
    assert transport_of(Board(name="b", address="local:")).name == "local"
    with pytest.raises(UsageError, match=f"not an address: {address}"):
        transport_of(Board(name="b", address=address))
