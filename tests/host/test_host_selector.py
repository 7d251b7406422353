from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.errors import UsageError
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.selector import select


@pytest.fixture
def fleet() -> Fleet:
    boards = {
        f"pi{n:02d}": Board(name=f"pi{n:02d}", address=f"192.0.2.{n}", labels=("even",) if n % 2 == 0 else ())
        for n in range(1, 13)
    }
    return Fleet(
        name="f",
        path=Path("fleet.toml"),
        boards=boards | {"nano": Board(name="nano", address="nano", labels=("even",))},
    )


def names(fleet: Fleet, selector: str) -> list[str]:
    return [board.name for board in select(fleet, selector)]


def test_names_labels_ranges_and_all(fleet: Fleet) -> None:
    assert names(fleet, "nano,pi01") == ["pi01", "nano"]  # the fleet's order
    assert names(fleet, "pi[08-10]") == ["pi08", "pi09", "pi10"]
    assert names(fleet, "@even") == ["pi02", "pi04", "pi06", "pi08", "pi10", "pi12", "nano"]
    assert len(names(fleet, "all")) == 13
    assert names(fleet, "pi01, pi01 ,pi[01-02]") == ["pi01", "pi02"]


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("pi1", "did you mean"),
        ("@odd", "even"),
        ("", "board names"),
        ("pi[05-02]", "pi[01-20]"),
        ("pi[00-99999999]", "pi[01-20]"),
    ],
)
def test_what_does_not_exist_is_refused_with_a_hint(fleet: Fleet, selector: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        select(fleet, selector)
    assert hint in error.value.hint
