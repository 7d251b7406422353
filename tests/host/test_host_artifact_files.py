"""The files of an artifact's folder: only regular ones are opened, and none is hashed that has another size."""

from __future__ import annotations

import os
import shutil
from io import BufferedReader
from pathlib import Path

import pytest

from edgewright import file_hashes
from edgewright.errors import ArtifactError
from edgewright.nouns.artifact import Artifact
from edgewright.store import artifacts

OBJECTS = Path(__file__).parents[1] / "upgrades/made_by_8d6a898/home/artifacts/objects"


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A copy of an artifact."""
    folder = tmp_path / "artifact"
    shutil.copytree(min(OBJECTS.iterdir()), folder)
    return artifacts.load(folder)


@pytest.mark.parametrize("what", ["file", "manifest"])
def test_a_pipe_with_the_right_bytes_is_no_file(artifact: Artifact, what: str) -> None:
    """Its writer could send other bytes to the next reader, after their hash was checked."""
    path = artifact.folder / ("manifest.json" if what == "manifest" else artifact.manifest.entry)
    data = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert os.write(writer, data) == len(data)
        with pytest.raises(ArtifactError):
            artifacts.load(artifact.folder)
    finally:
        os.close(writer)


def test_a_pipe_without_a_writer_holds_nobody_up(artifact: Artifact) -> None:
    (artifact.folder / "manifest.json").unlink()
    os.mkfifo(artifact.folder / "manifest.json")
    with pytest.raises(ArtifactError):
        artifacts.load(artifact.folder)


@pytest.mark.parametrize("what", ["device", "giant"])
def test_sizes_come_before_hashes(artifact: Artifact, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A device has no end, and the hash of a sparse giant takes days."""
    path = artifact.folder / artifact.manifest.entry
    if what == "device":
        path.unlink()
        path.symlink_to("/dev/zero")
    else:
        os.truncate(path, 2**40)
    hashes = file_hashes.hashed

    def small(file: BufferedReader) -> str:
        assert Path(file.name) != path, "it is hashed"
        return hashes(file)

    monkeypatch.setattr(file_hashes, "hashed", small)
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 0)
    with pytest.raises(ArtifactError):
        artifacts.load(artifact.folder)
