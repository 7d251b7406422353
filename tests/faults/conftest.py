"""Real boards over a real sshd, a runtime without numpy that can be made to misbehave, and a link that can fail."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pty
import select
import shutil
import signal
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgewright.config import fleet as fleet_file
from edgewright.connect import runners
from edgewright.connect.agent import package
from edgewright.connect.session import Limits, Session, open_session
from edgewright.lab import boards
from edgewright.nouns.board import Board, Fleet
from edgewright.wire import commands, types
from edgewright.wire.answers import Benched, OnTrial, StatusModel, Verdict

MODEL = "doubler"
# What the tflite runner takes from numpy, for Pythons that have none.
NUMPY = """
import array

__version__ = "0"


class Array(object):
    def __init__(self, data):
        self.data = data

    def reshape(self, shape):
        return self

    def tobytes(self):
        return self.data.tobytes()


def frombuffer(data, dtype):
    return Array(array.array("f", data))


class dtype(object):
    def __init__(self, name):
        self.name = name
"""
# Doubles its input. Another behaviour is put where the `# at ...` lines are.
INTERPRETER = """
import array, os, signal, sys, threading, time
import numpy
# at import


class Interpreter(object):
    def __init__(self, model_path, num_threads):
        # at load
        with open(model_path, "rb") as file:
            self.factor = float(file.read().split()[1])

    def get_input_details(self):
        return [{"name": "x", "index": 0, "shape": [4], "dtype": "float32"}]

    def get_output_details(self):
        return [{"name": "y", "index": 1, "shape": [4], "dtype": "float32"}]

    def allocate_tensors(self):
        pass

    def set_tensor(self, index, value):
        self.given = value

    def invoke(self):
        # at invoke
        self.answer = numpy.Array(array.array("f", [one * self.factor for one in self.given.data]))

    def get_tensor(self, index):
        return self.answer
"""


def sha(data: bytes) -> str:
    """Hex sha256."""
    return hashlib.sha256(data).hexdigest()


def wheel(at: str = "", code: str = "", version: str = "1.0") -> bytes:
    """A wheel of the toy runtime; `code` runs at its `import`, `load` or `invoke`."""
    text = INTERPRETER
    if at:
        before, _, after = text.partition(f"# at {at}\n")
        indent = before.rpartition("\n")[2]
        text = (
            before
            + "\n".join((indent if i else "") + row for i, row in enumerate(code.splitlines()))
            + "\n"
            + after
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("numpy/__init__.py", NUMPY)
        archive.writestr("tflite_runtime/__init__.py", f"__version__ = {version!r}\n")
        archive.writestr("tflite_runtime/interpreter.py", text)
    return buffer.getvalue()


def artifact(tag: str = "a", factor: float = 2.0, more: int = 0, **changes: Any) -> SimpleNamespace:
    """An artifact of the toy runtime: `manifest` bytes, `files` {path: bytes}, `sha256`, `id`."""
    inputs = np.random.default_rng(1).standard_normal((8, 4), dtype=np.float32)
    goldens = io.BytesIO()
    np.savez(goldens, input_0=inputs, output_0=inputs * 2)
    files = {
        "model.tflite": b"factor %r of " % factor + tag.encode() + b"x" * more,
        "goldens.npz": goldens.getvalue(),
    }
    spec = {"shape": [4], "dtype": "float32", "scale": None, "zero_point": None}
    manifest = {
        "schema": 1, "target": "tflite", "precision": "fp32", "entry": "model.tflite",
        "files": [{"path": path, "sha256": sha(data), "size": len(data)} for path, data in sorted(files.items())],
        "inputs": [{"name": "x", **spec}], "outputs": [{"name": "y", **spec}],
        "goldens": {"file": "goldens.npz", "count": 8, "tolerance": {"sqnr_db": 60.0, "relative": 1e-3}},
        **changes,
    }  # fmt: skip
    data = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    return SimpleNamespace(manifest=data, files=files, sha256=sha(data))


class Deployment:
    """One transaction in a session, with a method per step of `deploy`.

    Args:
        built: from `artifact`. hooks: {kind: script}. hook_s: as in `install`. runtime: from `wheel`.
    """

    def __init__(
        self, session: Session, built: SimpleNamespace, version: str = "1", *,
        hooks: dict[str, str] | None = None, hook_s: float = 0, runtime: bytes | None = None,
    ) -> None:  # fmt: skip
        self.session, self.built, self.version, self.txn = session, built, version, uuid.uuid4().hex
        self.hooks = {kind: text.encode() for kind, text in (hooks or {}).items()}
        self.wheel, self.hook_s = runtime or wheel(), hook_s
        self.release = f"{version}-{built.sha256[:8]}"
        self.ref = ""
        self.expected: str | None = None

    def put(self) -> None:
        files = [*self.built.files.values(), self.built.manifest, *self.hooks.values()]
        self.session.put_all([(data, "") for data in files])

    def provision(self) -> None:
        sha256 = self.session.put(self.wheel)
        wheel = types.Wheel(file="toy-1.0-py3-none-any.whl", sha256=sha256, size=len(self.wheel))
        about = {"name": "tflite-runtime", "target": "tflite", "version": "1.0", "wheels": (wheel,)}
        runner = runners.named(self.session, "tflite")
        self.ref = self.session.call(commands.Provision(**about, runner=runner)).ref

    def begin(self) -> None:
        self.expected = self.session.call(commands.Status()).models.get(MODEL, StatusModel()).current
        self.session.call(commands.Begin(model=MODEL, txn=self.txn, host="test", ttl_s=60))

    def install(self) -> None:
        kinds = {kind: sha(data) for kind, data in self.hooks.items()}
        about = {"model": MODEL, "version": self.version, "manifest": self.built.sha256, "hooks": kinds}
        about |= {"hook_s": self.hook_s, "runtime": self.ref, "txn": self.txn}
        about["runner"] = runners.named(self.session, "tflite")
        assert self.session.call(commands.Install(**about)).release == self.release

    def verify(self) -> Verdict:
        return self.session.call(commands.Verify(model=MODEL, release=self.release, txn=self.txn))

    def bench(self) -> Benched:
        how = types.Protocol(rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=15)
        return self.session.call(commands.Bench(model=MODEL, releases=(self.release,), protocol=how))

    def activate(self, deadline_s: float = 30, **more: Any) -> OnTrial:
        return self.session.call(
            commands.Activate(
                model=MODEL, release=self.release, expected_current=self.expected, txn=self.txn, deadline_s=deadline_s, **more
            )
        )  # fmt: skip

    def commit(self) -> str:
        return self.session.call(commands.Commit(txn=self.txn)).outcome

    def end(self) -> None:
        self.session.call(commands.End(txn=self.txn))

    def ready(self) -> Deployment:
        """Runs all steps up to a verified release."""
        self.begin()
        self.put()
        self.provision()
        self.install()
        assert self.verify().ok
        return self

    def whole(self) -> str:
        """Runs all steps; returns the release."""
        self.ready().activate()
        assert self.commit() == "committed"
        self.end()
        return self.release


class LabBoard:
    """A board of a lab: how it is reached, and what is in its root folder."""

    def __init__(self, board: Board, fleet: Fleet, lab: boards.LabBoard) -> None:
        self.board, self.fleet, self.lab, self.root = board, fleet, lab, lab.root
        self.limits: Limits | None = None

    def open(self, *, port: int | None = None, limits: Limits | None = None, **more: Any) -> Session:
        """A session, through another port if one is given."""
        from msgspec.structs import replace

        board = replace(self.board, **{**more, **({"port": port} if port else {})})
        return open_session(board, self.fleet, limits=limits or self.limits)

    def deploy(self, tag: str, version: str = "1", **options: Any) -> str:
        """A complete deployment in its own session; returns the release."""
        with self.open() as session:
            return Deployment(session, artifact(tag), version, **options).whole()

    @property
    def current(self) -> str | None:
        """The release that the link points to."""
        link = self.root / "models" / MODEL / "current"
        return link.readlink().name if link.is_symlink() else None

    def intact(self) -> None:
        """Checks that `current` is absent or complete."""
        link = self.root / "models" / MODEL / "current"
        if link.is_symlink():
            folder = link.parent / link.readlink()  # stays the same while `current` moves on
            manifest = json.loads((folder / "manifest.json").read_bytes())
            for entry in manifest["files"]:
                assert sha((folder / entry["path"]).read_bytes()) == entry["sha256"]

    def agents(self) -> list[int]:
        """Processes on the board that run Python, watchdogs included."""
        return self.processes("python")

    def processes(self, name: str) -> list[int]:
        """Processes on the board whose names begin with `name`; the listener of `sshd` comes first."""
        return sorted(int(entry.name) for entry in Path("/proc").iterdir() if self._runs(entry, name))

    def _runs(self, entry: Path, name: str) -> bool:
        with contextlib.suppress(OSError):
            called = entry.name.isdigit() and (entry / "comm").read_text().startswith(name)
            return called and str(self.lab.folder) in (entry / "mountinfo").read_text()
        return False


@pytest.fixture(scope="module")
def no_developer(module_home: Path) -> Iterator[Path]:
    """The module's state folder, and a HOME without an SSH agent, a key or a configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(module_home / "user"))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        (module_home / "user" / ".ssh").mkdir(parents=True, mode=0o700)
        yield module_home


@pytest.fixture(scope="module")
def make_lab(
    no_developer: Path, lab_up: Callable[..., list[boards.LabBoard]]
) -> Callable[..., list[LabBoard]]:
    """`make_lab(count, ...)`: as `lab_up`, but with `LabBoard`s of this module."""

    def make(count: int = 1, **options: Any) -> list[LabBoard]:
        made = lab_up(count, **options)
        fleet = fleet_file.load(no_developer / "fleet.toml")
        return [LabBoard(fleet.boards[one.name], fleet, one) for one in made]

    return make


@pytest.fixture(scope="module")
def pi(make_lab: Callable[..., list[LabBoard]]) -> LabBoard:
    """One board, which a module's tests share."""
    return make_lab(1)[0]


def wait_until(condition: Callable[[], Any], seconds: float = 40.0) -> None:
    """Waits until another process has done something."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)


def hurry(session: Session, silence_s: float) -> None:
    """From now on, a short silence is a dead link; earlier steps may take long on a busy machine."""
    from msgspec.structs import replace

    session._limits = replace(session._limits, silence_s=silence_s)
    session._exchange.silence_s = session._exchange._stream._silence_s = silence_s


def signal_all(pids: list[int], number: int) -> None:
    """Sends a signal to processes; some of them may have ended already."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Terminal:
    """A command line on a separate terminal."""

    def __init__(self, fleet: Fleet, *arguments: object) -> None:
        start = "from edgewright.cli.main import run; run()"
        command = [sys.executable, "-c", start, *map(str, arguments), "--fleet", str(fleet.path)]
        self.said = b""
        self.pid, self.descriptor = pty.fork()
        if not self.pid:
            os.execv(command[0], command)  # noqa: S606 - the command line itself, on the terminal

    def until(self, text: str, seconds: float = 60.0) -> None:
        """Reads until a text appears."""
        limit = time.monotonic() + seconds
        while text.encode() not in self.said and self._read(limit - time.monotonic()):
            pass
        assert text.encode() in self.said, self.said.decode()

    def end(self, seconds: float = 60.0) -> int:
        """Reads all output; returns the exit code."""
        limit = time.monotonic() + seconds
        while self._read(limit - time.monotonic()):
            pass
        assert time.monotonic() < limit, self.said.decode()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def write(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.descriptor], [], [], max(0.0, seconds))[0]:
            return False
        try:
            piece = os.read(self.descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.said += piece
        return bool(piece)


@pytest.fixture
def at_a_terminal() -> Iterator[Callable[..., Terminal]]:
    """`at_a_terminal(fleet, *arguments)`: a command line on a terminal; kills those that still run at the end."""
    opened: list[Terminal] = []

    def start(fleet: Fleet, *arguments: object) -> Terminal:
        opened.append(Terminal(fleet, *arguments))
        return opened[-1]

    yield start
    for one in opened:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        os.close(one.descriptor)


@contextlib.contextmanager
def change_file(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """Changes a file in place, since it may be mounted elsewhere, and restores it at the end."""
    before = path.read_text()
    path.write_text(change(before))
    try:
        yield
    finally:
        path.write_text(before)


@contextlib.contextmanager
def configure(pi: LabBoard, *lines: str) -> Iterator[None]:
    """Gives the board's sshd other lines in its configuration."""
    keywords = tuple(line.split()[0] for line in lines)

    def reload() -> None:
        (pi.lab.folder / "server.log").write_text("")
        os.kill(int((pi.lab.folder / "server.pid").read_text()), signal.SIGHUP)
        while "Server listening" not in (pi.lab.folder / "server.log").read_text():
            time.sleep(0.02)

    def change(text: str) -> str:
        return "\n".join([*(row for row in text.splitlines() if not row.startswith(keywords)), *lines, ""])

    with change_file(pi.lab.folder / "sshd_config", change):
        reload()
        yield
    reload()


@pytest.fixture(scope="session")
def changed() -> Callable[..., Any]:
    """As `change_file`."""
    return change_file


@pytest.fixture(scope="session")
def configured() -> Callable[..., Any]:
    """As `configure`."""
    return configure


@pytest.fixture
def hasty_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> package.AgentPackage:
    """The agent with short limits, in place of the installation's own: a hook 1.5 s, a silent child 6 s."""
    sources = tmp_path / "edgewright_agent"
    shutil.copytree(package.source_folder("edgewright_agent"), sources)
    for name, long, short in (
        ("protocol", "HOOK_SECONDS = 60.0", "HOOK_SECONDS = 1.5"),
        ("processes/children", "IDLE_SECONDS = 600.0", "IDLE_SECONDS = 6.0"),
    ):
        text = (sources / f"{name}.py").read_text()
        assert text.count(f"\n{long}") == 1
        (sources / f"{name}.py").write_text(text.replace(f"\n{long}", f"\n{short}"))
    made = package.build(sources)
    monkeypatch.setattr(package, "package", lambda: made)
    return made


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The helpers above, for test files."""
    helpers = (Deployment, LabBoard, artifact, hurry, sha, signal_all, wait_until, wheel)
    return SimpleNamespace(MODEL=MODEL, **{helper.__name__: helper for helper in helpers})
