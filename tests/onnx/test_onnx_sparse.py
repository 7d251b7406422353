"""Copies of sparse files, as weights beyond 2 GiB may be."""

import errno
import os

import pytest

from edgewright.store import sparse


@pytest.fixture
def holed(tmp_path):
    """64 MiB with three written places, one of them at the end."""
    path = tmp_path / "holed"
    with path.open("wb") as file:
        for at in (0, 20 << 20, (64 << 20) - 5):
            file.seek(at)
            file.write(b"begin" if at == 0 else os.urandom(5))
    return path


def test_the_bytes_and_the_holes_are_the_same(holed, tmp_path):
    sparse.copy(holed, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == holed.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= holed.stat().st_blocks + 16


@pytest.mark.parametrize("end", [b"", b"x"])
def test_a_hole_at_the_end_and_an_empty_file(tmp_path, end):
    path = tmp_path / "file"
    path.write_bytes(end)
    if end:
        os.truncate(path, 1 << 20)
    sparse.copy(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_file_system_that_cannot_tell_holes_is_copied_whole(holed, tmp_path, monkeypatch):
    def refuse(file, at, how):
        raise OSError(errno.EINVAL, "no holes here")

    monkeypatch.setattr(sparse.os, "lseek", refuse)
    sparse.copy(holed, tmp_path / "copy")
    monkeypatch.undo()
    assert (tmp_path / "copy").read_bytes() == holed.read_bytes()
