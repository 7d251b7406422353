"""Only their owner can read the files below EDGEWRIGHT_HOME and the fleet file, whatever ran first."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.compile.workers.pool import Workers
from edgewright.config import folder_lock, home, strict
from edgewright.lab.registry import state
from edgewright.nouns.board import TrustFile
from edgewright.nouns.outcome import BoardOutcome
from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History


def keep_history() -> None:
    History().record("deploy", "f", "1", [BoardOutcome(board="a", outcome="committed", model="m")])


def start_a_worker() -> None:
    with Workers(home.home() / "logs" / "convert.log") as workers:
        workers.start(["evaluation"])


FIRST: list[Callable[[], object]] = [
    keep_history,
    start_a_worker,
    lambda: home.folder("wheels"),
    lambda: ArtifactStore(home.home() / "artifacts"),
    lambda: state.lock().__enter__(),
    lambda: strict.write(home.home() / "fleet.trust.toml", TrustFile()),
    lambda: folder_lock.locked(home.home()).__enter__(),
]


def open_to_others(path: Path) -> bool:
    return bool(path.lstat().st_mode & 0o077)


@pytest.mark.parametrize("first", FIRST)
def test_folders_on_the_way_are_the_owners_only(
    first: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "not/there/yet"
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(place))
    first()
    there = [tmp_path / "not", tmp_path / "not/there", place, *place.iterdir()]
    assert [path for path in there if open_to_others(path)] == []


def test_history_is_the_owners_only_and_its_journals_too(home: Path) -> None:
    keep_history()
    file = home / "history.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("delete from events")
        connection.commit()
        found = sorted(path.name for path in home.iterdir())
        assert found == ["history.sqlite3", "history.sqlite3-shm", "history.sqlite3-wal"]
        assert [path for path in home.iterdir() if open_to_others(path)] == []
    connection.close()


def test_what_is_there_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2775)
    (shared / "history.sqlite3").touch()
    (shared / "history.sqlite3").chmod(0o664)
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(shared))
    keep_history()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o2775
    assert stat.S_IMODE((shared / "history.sqlite3").stat().st_mode) == 0o664


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as error:
        home.made(tmp_path / "file" / "below")
    assert os.fspath(tmp_path / "file") in str(error.value.filename)
