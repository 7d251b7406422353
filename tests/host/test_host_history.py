from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.errors import EdgewrightError
from edgewright.nouns.outcome import BoardOutcome
from edgewright.store.history import History


def outcome(board: str, kind: str, artifact: str, version: str) -> BoardOutcome:
    return BoardOutcome(
        board=board, outcome=kind, model="m", artifact=artifact, release=f"{version}-{artifact[:8]}"
    )


def test_what_is_recorded_is_listed_newest_first() -> None:
    history = History()
    history.record(
        "deploy", "f", "1", [outcome("a", "committed", "x" * 64, "1"), outcome("b", "refused", "x" * 64, "1")]
    )
    history.record("rollback", "f", "", [outcome("a", "committed", "y" * 64, "0")])
    events = History().events(fleet="f")
    assert [(event["action"], event["board"], event["outcome"]) for event in events] == [
        ("rollback", "a", "committed"), ("deploy", "b", "refused"), ("deploy", "a", "committed"),
    ]  # fmt: skip
    assert len(History().events(fleet="f", boards=["b"])) == 1
    assert History().events(fleet="other") == []
    assert events[0]["at"].endswith("+00:00")


def test_versions_are_the_next_number_or_the_one_it_had() -> None:
    history = History()
    assert history.version_for("f", "m", ["x"]) == "1"
    history.record("deploy", "f", "1", [outcome("a", "committed", "x", "1")])
    assert history.version_for("f", "m", ["x"]) == "1"
    assert history.version_for("f", "m", ["y"]) == "2"
    history.record("deploy", "f", "2", [outcome("a", "refused", "y", "2")])
    assert history.version_for("f", "m", ["y"]) == "3"  # a refused release's number is not used again
    assert history.version_for("f", "m", ["x", "y"]) == "3"
    assert history.version_for("g", "m", ["x"]) == "1"


def test_a_rollbacks_version_is_not_counted() -> None:
    history = History()
    history.record("deploy", "f", "1", [outcome("a", "committed", "x", "1")])
    history.record("rollback", "f", "99", [outcome("a", "failed", "", "99")])
    assert history.version_for("f", "m", ["y"]) == "2"


def test_a_broken_database_is_one_clear_error(home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "history.sqlite3").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(EdgewrightError) as error:
        History().events()
    assert "history" in error.value.message
    assert "\n" not in error.value.message
    assert error.value.hint
