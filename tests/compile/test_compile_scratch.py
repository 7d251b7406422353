"""A conversion leaves nothing in the system's temporary folder, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers import scratch
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.scratch_folder import sweep

LEAVES_ONE = "import tempfile; tempfile.mkstemp(prefix='left-')"
EMPTY = "globals().clear()"  # a program's names are the job's answer


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the system's temporary folder."""
    place = tmp_path / "system"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return place


def leave(workers: Workers, place: Path, program: str) -> None:
    """Runs a program in a worker that leaves a file in its temporary folder."""
    (place / "program.py").write_text(f"{LEAVES_ONE}\n{program}\n{EMPTY}\n")
    workers.call("one", "runpy", "run_path", path_name=str(place / "program.py"))


def test_what_a_worker_leaves_goes_with_it(system: Path, tmp_path: Path) -> None:
    with Workers(tmp_path / "log", writes=[tmp_path / "program.py"]) as workers:
        leave(workers, tmp_path, "")
        (folder,) = system.iterdir()
        assert folder.name.startswith(scratch.PREFIX) and folder.stat().st_mode & 0o077 == 0
        assert sorted(path.name[:5] for path in folder.iterdir()) == ["home", "left-"]
    assert list(system.iterdir()) == []


def test_what_a_killed_worker_leaves_goes_with_it(system: Path, tmp_path: Path) -> None:
    with Workers(tmp_path / "log", writes=[tmp_path / "program.py"]) as workers:
        with pytest.raises(ConversionError, match="SIGKILL"):
            leave(workers, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert list(system.iterdir()) == []


HOST = f"""
import pathlib, sys
from edgewright.compile.workers.pool import Workers
place = pathlib.Path(sys.argv[1])
with Workers(place / "log", reads=[place]) as workers:
    (place / "program.py").write_text({f"{LEAVES_ONE}; {EMPTY}"!r})
    workers.call("one", "runpy", "run_path", path_name=str(place / "program.py"))
    print(workers.call("one", "os", "getpid"), flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_host_leaves_goes_at_the_next_start(system: Path, tmp_path: Path) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert host.stdin and host.stdout
    worker = int(host.stdout.readline())
    (folder,) = system.iterdir()
    os.utime(folder, (1, 1))
    sweep(scratch.PREFIX)
    assert folder.exists(), "the folder of a live worker was taken away"
    host.send_signal(signal.SIGKILL)
    host.wait()
    end = time.monotonic() + 60
    while time.monotonic() < end and Path(f"/proc/{worker}").exists():
        time.sleep(0.05)
    os.utime(folder, (1, 1))
    with scratch.folder() as other:
        assert list(system.iterdir()) == [other]
    for pipe in (host.stdin, host.stdout):
        pipe.close()


def test_what_is_not_of_that_kind_is_left_alone(system: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (system / f"{scratch.PREFIX}link").symlink_to(kept)
    (system / f"{scratch.PREFIX}file").write_text("")
    (system / f"{scratch.PREFIX}fresh").mkdir()
    (system / "other").mkdir()
    os.utime(system / "other", (1, 1))
    os.utime(kept, (1, 1))
    sweep(scratch.PREFIX)
    assert len(list(system.iterdir())) == 4 and kept.is_dir()


@pytest.fixture
def sources(small_models: Callable[[str], Path]) -> tuple[Path, Path]:
    """Made before a test looks at the system's temporary folder, since making models leaves files too."""
    return small_models("keras") / "lstm.keras", small_models("torch") / "cnn.pt2"


@pytest.mark.slow  # 25 s: four frameworks start
def test_converting_leaves_nothing_in_the_systems_temporary_folder(
    sources: tuple[Path, Path], system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    keras, torch = sources
    with Workers(tmp_path / "log", writes=[tmp_path / "program.py"]) as workers:
        for source, target in ((keras, "tflite"), (keras, "openvino"), (torch, "onnxruntime")):
            compile_model(compile_request(source=source, target=target, precision="fp32"), workers=workers)
        left = {path.name.partition("file")[0] for folder in system.iterdir() for path in folder.iterdir()}
        assert "__autograph_generated_" in left, "TensorFlow does not leave files any more"
    assert [path.name for path in system.iterdir()] == []
