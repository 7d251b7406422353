"""What commit 8d6a898 left on hosts and boards, restored; `make_fixtures.py` made it with that commit's own code."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from command_line import Ran, command_line

from edgewright.config import fleet as fleet_file
from edgewright.connect.session import Session, open_session
from edgewright.lab import boards
from edgewright.nouns import measurement
from edgewright.store import artifacts

OLD = Path(__file__).parent / "made_by_8d6a898"


def run(*arguments: object) -> Ran:
    """Runs `edgewright ARGUMENTS`; whatever it does, never a traceback."""
    ran = command_line(*arguments)
    assert "Traceback" not in ran.err and "internal error" not in ran.err, ran.err
    return ran


def restore_home(home: Path) -> Path:
    """Puts the old state folder in place."""
    shutil.copytree(OLD / "home", home, dirs_exist_ok=True)
    for file in home.rglob("lab.json"):
        file.write_text(file.read_text().replace("@HOME@", str(home)))
    return home


def restore_root(root: Path) -> Path:
    """Puts the old board's root folder in place, links and modes as they were."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(OLD / "board.tar.gz") as archive:
        archive.extractall(root, filter="tar")
    return root


class Board:
    """A lab's board whose root folder the old agent left."""

    def __init__(self, home: Path) -> None:
        path = home / "fleet.toml"
        self.lab = boards.up(1, fleet_path=path, name="u")[0]
        self.fleet = fleet_file.load(path)
        self.name, self.root = self.lab.name, self.lab.root
        self.reset()

    def reset(self) -> None:
        """The root folder as the old agent left it; the board's id, which gets pinned, is in it."""
        until = time.monotonic() + 20
        while self.root.exists():  # an agent or a watchdog that is about to end may still write there
            shutil.rmtree(self.root, ignore_errors=True)
            assert time.monotonic() < until, f"somebody works in {self.root}"
        restore_root(self.root)

    @contextlib.contextmanager
    def open(self) -> Iterator[Session]:
        with open_session(self.fleet.boards[self.name], self.fleet) as session:
            yield session

    def model(self, name: str) -> dict[str, Any]:
        """What `status` says of a model."""
        ran = run("status", self.name, "--json")
        assert ran.code == 0, ran.err
        (board,) = ran.json["boards"]
        return board["result"]["models"][name]

    def current(self, model: str) -> str:
        """The release that applications read."""
        return (self.root / "models" / model / "current").readlink().name

    @contextlib.contextmanager
    def forced(self, pyz: bytes) -> Iterator[None]:
        """An administrator installed this agent, as a forced command."""
        program, keys = self.lab.folder / "installed.pyz", self.lab.folder / "authorized_keys"
        before = keys.read_text()
        program.write_bytes(pyz)
        keys.write_text(
            f'restrict,command="python3 -I -S -B {program} serve --root {self.fleet.boards[self.name].root}" {before}'
        )
        try:
            yield
        finally:
            keys.write_text(before)


def local(pyz: Path, verb: str, root: Path) -> subprocess.CompletedProcess[str]:
    """`python3 agent.pyz VERB --root ROOT`, as an administrator types it."""
    command = [sys.executable, "-I", "-S", "-B", str(pyz), verb, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def toy(store: Path, tag: str, factor: str = "2.0", **changes: Any) -> Path:
    """The folder of another artifact of the toy runtime, made by today's code after the old one."""
    old = next(
        one for one in artifacts.ArtifactStore(OLD_STORE).list() if one.manifest.source.file == "toy.tflite"
    )
    store.mkdir(exist_ok=True)
    (store / "model.tflite").write_bytes(f"factor {factor} of {tag}".encode())
    entries = tuple(
        artifacts.entry(store, entry.path) if entry.path == "model.tflite" else entry
        for entry in old.manifest.files
    )
    files = {entry.path: old.folder / entry.path for entry in entries} | {
        "model.tflite": store / "model.tflite"
    }
    manifest = msgspec.structs.replace(old.manifest, files=entries, **changes)
    return artifacts.ArtifactStore(store).add(files, manifest).folder


OLD_STORE = OLD / "home" / "artifacts"


@pytest.fixture(scope="module")
def module_old_home(module_home: Path) -> Iterator[Path]:
    """An old state folder for a module, whose own `home` it is where a board lives in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(module_home / "user"))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        patch.setitem(measurement.PROTOCOLS, "quick", hurried())
        yield restore_home(module_home)


def hurried() -> measurement.Protocol:
    """The quick protocol, quicker."""
    return msgspec.structs.replace(measurement.QUICK, rounds=1, warmup_s=0.01, steady_s=0.05)


@pytest.fixture(scope="module")
def board(home: Path) -> Iterator[Board]:
    """A board that the old agent left, for a module."""
    made = Board(home)
    yield made
    boards.down("u")


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The helpers above, for test files."""
    helpers: list[Callable[..., Any]] = [run, restore_home, restore_root, local, toy]
    return SimpleNamespace(OLD=OLD, **{helper.__name__: helper for helper in helpers})
