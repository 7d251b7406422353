"""Computed steps on the disk: two processes at once, a kill in the middle, and files of a worker that a stranger's model took over."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgewright.compress.step_store import Progressed, StepFolder
from edgewright.compress.worker_files import WorkerFiles
from edgewright.errors import ConversionError
from edgewright.nouns.compression import Figures, StepResult

A, B = "a" * 64, "b" * 64
FIGURES = Figures(parameters=1, zeros=0, macs=1, bytes=1, packed_bytes=1)


def result(name: str) -> StepResult:
    return StepResult(name=name, shown=name, figures=FIGURES)


def finished(shared: Path, key: str, text: str) -> StepFolder:
    folder = StepFolder(key, ".keras")
    with WorkerFiles.new(shared) as made:
        (made.path / "network.keras").write_text(text)
        (made.path / "checkpoint").mkdir()
        (made.path / "checkpoint/weights").write_text(text)
        folder.finish(made, result(text), b"answers")
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared/folder").mkdir(parents=True)
    return tmp_path / "shared/folder"


def test_a_step_is_whole_or_absent_whatever_was_left(shared: Path, home: Path) -> None:
    (home / "compressions/tmp-left/step").mkdir(parents=True)
    (home / "compressions/tmp-left/step/network.keras").write_text("old")
    first, second = finished(shared, A, "one"), finished(shared, B, "two")
    assert (first.network.read_text(), second.network.read_text()) == ("one", "two")
    assert (first.result(), second.result()) == (result("one"), result("two"))
    again = finished(shared, A, "three")
    assert again.network.read_text() == "three"
    assert (again.path / "checkpoint/weights").read_text() == "three"
    assert sorted(path.name for path in (home / "compressions").iterdir()) == [A, B, "tmp-left"]
    assert not list(shared.iterdir())


def test_a_second_process_waits_and_takes_what_the_first_made(shared: Path) -> None:
    """Not what it left unfinished: with that, both would write into one folder."""
    seen: list[StepResult | None] = []
    folder = StepFolder(A, ".keras")

    def second() -> None:
        other = StepFolder(A, ".keras")
        with other.taken():
            seen.append(other.result())

    with folder.taken():
        waiting = threading.Thread(target=second)
        waiting.start()
        with WorkerFiles.new(shared) as made:
            (made.path / "checkpoint").mkdir()
            folder.keep_epoch(made, 1)
        folder.note(Progressed(epochs=1, best=1))
        assert folder.progressed().epochs == 1
        waiting.join(0.3)
        assert waiting.is_alive()
        finished(shared, A, "one")
        folder.drop()
    waiting.join(20)
    assert seen == [result("one")]


@pytest.mark.parametrize("name", ["network.keras", "checkpoint/weights", "checkpoint"])
def test_links_of_a_worker_are_refused(shared: Path, tmp_path: Path, name: str) -> None:
    """Neither read through nor written through."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/weights").write_text("secret")
    folder = StepFolder(A, ".keras")
    with WorkerFiles.new(shared) as made, pytest.raises(ConversionError, match="else than a file"):
        (made.path / name).parent.mkdir(exist_ok=True)
        (made.path / name).symlink_to(
            tmp_path / "mine" if name == "checkpoint" else tmp_path / "mine/weights"
        )
        folder.finish(made, result("one"), b"answers")
    assert folder.result() is None
    with WorkerFiles.new(shared) as made:
        for planted in ("result.json", "answers.npz"):
            (made.path / planted).symlink_to(tmp_path / "mine" / planted)
        with pytest.raises(ConversionError):
            folder.finish(made, result("one"), b"answers")
        with pytest.raises(ConversionError):
            made.read("answers.npz")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["weights"]
