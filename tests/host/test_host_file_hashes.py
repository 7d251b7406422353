"""A file is hashed once, and again if it has changed."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

import pytest

from edgewright import file_hashes
from edgewright.file_hashes import FileHashes


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that were computed."""
    found, compute = list[str](), file_hashes.hashed

    def count(file: BufferedReader) -> str:
        found.append(compute(file))
        return found[-1]

    monkeypatch.setattr(file_hashes, "hashed", count)
    return found


def of(hashes: FileHashes, path: Path) -> str:
    with path.open("rb") as file:
        file.seek(1)
        digest, size = hashes.of(file)
    assert (digest, size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    return digest


def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_hashes, "SETTLED_NS", -(10**15))


def test_forty_boards_hash_a_file_once(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch)
    path, hashes, together = tmp_path / "model", FileHashes(), threading.Barrier(8)
    path.write_bytes(os.urandom(3_000_000))

    def ask(_: int) -> str:
        together.wait(10)
        return of(hashes, path)

    with ThreadPoolExecutor(8) as boards:
        assert len(set(boards.map(ask, range(8)))) == 1
    assert len(counted) == 1


def test_a_changed_file_is_hashed_again(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch)
    path, hashes = tmp_path / "model", FileHashes()
    path.write_bytes(b"a" * 1000)
    of(hashes, path)
    os.utime(path, ns=(1, 1))  # other times, the same bytes
    of(hashes, path)
    (tmp_path / "new").write_bytes(b"b" * 1000)
    os.utime(tmp_path / "new", ns=(1, 1))
    (tmp_path / "new").replace(path)  # another inode, the same size and time
    of(hashes, path)
    assert len(counted) == 3


def test_a_file_that_has_just_been_written_is_not_remembered(tmp_path: Path, counted: list[str]) -> None:
    path, hashes = tmp_path / "model", FileHashes()
    for text in (b"a", b"b", b"c"):  # within one tick of the clock of some file systems
        path.write_bytes(text)
        of(hashes, path)
    assert len(counted) == 3


def test_a_check_computes_it_again_and_spares_the_boards_that(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch)
    path, hashes = tmp_path / "model", FileHashes()
    path.write_bytes(b"a" * 1000)
    for again in (True, True, False):
        with path.open("rb") as file:
            hashes.of(file, again=again)
    assert len(counted) == 2


def test_what_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(monkeypatch)
    path, hashes = tmp_path / "model", FileHashes()
    path.write_bytes(b"a")

    def fail(_: BufferedReader) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(file_hashes, "hashed", fail)
        with pytest.raises(OSError, match="Input/output"):
            of(hashes, path)
        hashes.begin(tmp_path / "gone")
    of(hashes, path)


def test_the_number_of_remembered_files_is_limited(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(monkeypatch)
    monkeypatch.setattr(file_hashes, "MOST", 2)
    hashes = FileHashes()
    for name in ("a", "b", "c", "a"):
        (tmp_path / name).write_bytes(name.encode())
        of(hashes, tmp_path / name)
    assert len(counted) == 4
