"""The reader of the demo sees what an application would."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.lab import reader


def release(folder: Path, name: str, content: bytes) -> str:
    version = folder / "versions" / name
    version.mkdir(parents=True)
    (version / "model.tflite").write_bytes(content)
    manifest = json.dumps({"files": [{"path": "model.tflite", "size": len(content)}], "name": name}).encode()
    (version / "manifest.json").write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()[:12]


def point(folder: Path, name: str) -> None:
    (folder / "next").symlink_to(f"versions/{name}")
    (folder / "next").replace(folder / "current")


@pytest.fixture
def process(tmp_path):
    with subprocess.Popen(
        [sys.executable, reader.__file__, str(tmp_path), "digits"], stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.terminate()


def test_each_change_is_one_line(tmp_path, process):
    folder = tmp_path / "models" / "digits"

    def said() -> list[str]:
        return process.stdout.readline().split()[1:]

    assert said() == ["absent", "-"]
    first, second = release(folder, "1.0-rc-0a1b2c3d", b"one"), release(folder, "2-0a1b2c3e", b"two")
    point(folder, "1.0-rc-0a1b2c3d")
    assert said() == ["1.0-rc", first]
    point(folder, "2-0a1b2c3e")
    assert said() == ["2", second]
    point(folder, "1.0-rc-0a1b2c3d")
    assert said() == ["1.0-rc", first]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda version: (version / "model.tflite").write_bytes(b"on"), "size-of-model.tflite"),
        (lambda version: (version / "model.tflite").unlink(), "FileNotFoundError"),
        (lambda version: (version / "manifest.json").write_bytes(b'{"fil'), "JSONDecodeError"),
        (lambda version: (version / "manifest.json").write_bytes(b"{}"), "KeyError"),
    ],
)
def test_what_is_not_whole_is_broken(tmp_path, harm, reason):
    release(tmp_path, "1-0a1b2c3d", b"one")
    point(tmp_path, "1-0a1b2c3d")
    assert reader.read(tmp_path)[0] == "1"
    harm(tmp_path / "versions" / "1-0a1b2c3d")
    assert reader.read(tmp_path) == ("broken", reason)
