import hashlib
import io
import json
import os
import select
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from edgewright import targets
from edgewright.connect.agent import package, runner_package
from edgewright.wire import commands
from edgewright_agent import protocol

REPOSITORY = Path(__file__).parents[2]
PYTHON = os.environ.get("EDGEWRIGHT_AGENT_PYTHON", sys.executable)  # runs the agent: any Python from 3.6 on
RUNTIMES = targets.system_distributions()


def build_pyz() -> bytes:
    """The agent, as the host ships it."""
    return package.build(REPOSITORY / "agent/edgewright_agent").data


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def txn() -> str:
    return uuid.uuid4().hex


RECORDS = {one.do: one for one in commands.COMMANDS if one is not commands.Describe}


class AgentFailureError(Exception):
    """An error from the agent."""

    def __init__(self, error: dict) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]
        self.about = error.get("about", {})


def declared(do: str, args: dict, answer: dict) -> None:
    """Fails if an answer has a key that the host's record lacks: docs/wire.md is made from the records."""
    command = commands.Describe if do == "infer" and not args.get("inputs") else RECORDS[do]
    found = msgspec.to_builtins(command.read(answer))
    undeclared = [] if do == "facts" else sorted(set(missing(answer, found)))
    assert not undeclared, f"{do} answers what no record has: {undeclared}"


def missing(answer: object, found: object, where: str = "") -> Iterator[str]:
    """The keys of a JSON value that are not in another one, below a manifest's."""
    if isinstance(answer, dict) and isinstance(found, dict) and where != ".manifest":
        yield from (f"{where}.{key}" for key in set(answer) - set(found))
        for key in set(answer) & set(found):
            yield from missing(answer[key], found[key], f"{where}.{key}")
    elif isinstance(answer, list):
        for one, other in zip(answer, found, strict=True):
            yield from missing(one, other, where)


class Wire:
    """The host's end of one session, over pipes, started as docs/wire.md describes."""

    def __init__(self, root, pyz: bytes, python: str = PYTHON, command=None, hello=None) -> None:
        self.pyz, self.nonce, self.last, self.buffer = pyz, uuid.uuid4().hex, 0, b""
        command = command or [python, "-I", "-S", "-B", "-c", protocol.BOOT]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "EDGEWRIGHT_TEST_ROOT": str(root)},
        )
        loader = (REPOSITORY / "agent/edgewright_agent/loader.py").read_text()
        line = {
            "edgewright": 1,
            "nonce": self.nonce,
            "root": str(root),
            "host": "test",
            "loader": loader,
            "runtimes": RUNTIMES,
        }
        line["agent"] = {"sha256": sha(pyz), "size": len(pyz)}
        self.send_raw(protocol.encode({**line, **(hello or {})}))
        self.asked = False
        try:
            self.greeting = self.greet()
        except BaseException:
            self.process.kill()
            self.close()
            raise

    def send_raw(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) :]

    def read(self, timeout: float = 30.0) -> bytes:
        assert select.select([self.process.stdout], [], [], timeout)[0], "the agent says nothing"
        piece = os.read(self.process.stdout.fileno(), 1 << 18)
        if not piece:
            code = self.process.wait(timeout=30)
            raise EOFError(f"the agent ended with {code}: {self.process.stderr.read().decode()}")
        return piece

    def line(self, timeout: float = 30.0) -> dict:
        while b"\n" not in self.buffer:
            self.buffer += self.read(timeout)
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def greet(self) -> dict:
        message = self.line()
        if message.get("need") == "agent":
            self.asked = True
            self.send_raw(self.pyz)
            message = self.line()
        assert message["nonce"] == self.nonce
        return message

    def send(self, do: str, **args) -> int:
        self.last += 1
        self.asked_for = do, args
        self.send_raw(protocol.encode({"id": self.last, "do": do, "args": args}))
        return self.last

    def answer(self, number: int, events: list | None = None) -> dict:
        while True:
            message = self.line()
            assert message.get("id") == number, message
            if "ok" in message:
                declared(*self.asked_for, message["ok"])
                return message["ok"]
            if "error" in message:
                raise AgentFailureError(message["error"])
            if events is not None:
                events.append(message)

    def call(self, do: str, **args) -> dict:
        return self.answer(self.send(do, **args))

    def put(self, data: bytes) -> str:
        number = self.send("put", sha256=sha(data), size=len(data), offset=0)
        self.send_raw(data)
        assert self.answer(number) == {}
        return sha(data)

    def get(self, result: dict) -> bytes:
        number = self.send("get", result=result["result"])
        event = self.line()
        assert event["event"] == "bytes" and event["id"] == number
        while len(self.buffer) < event["size"]:
            self.buffer += self.read()
        data, self.buffer = self.buffer[: event["size"]], self.buffer[event["size"] :]
        assert self.answer(number) == {} and sha(data) == event["sha256"] == result["sha256"]
        return data

    def close(self) -> int:
        if not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def goldens(count: int = 8) -> bytes:
    """Golden inputs and outputs of a model that doubles its input."""
    inputs = np.random.default_rng(1).standard_normal((count, 4), dtype=np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, input_0=inputs, output_0=inputs * 2)
    return buffer.getvalue()


def artifact(tag: str = "a", **changes) -> dict:
    """An artifact: `manifest` bytes, `files` {path: bytes}, `sha256`."""
    files = {"model.tflite": b"model " + tag.encode() * 1000, "goldens.npz": goldens()}
    spec = {"shape": [4], "dtype": "float32", "scale": None, "zero_point": None}
    tolerance = {"sqnr_db": 60.0, "relative": 1e-3}
    entries = [{"path": path, "sha256": sha(data), "size": len(data)} for path, data in sorted(files.items())]
    manifest = {
        "schema": 1, "target": "tflite", "precision": "fp32", "entry": "model.tflite",
        "files": entries,
        "inputs": [{"name": "x", **spec}], "outputs": [{"name": "y", **spec}],
        "goldens": {"file": "goldens.npz", "count": 8, "tolerance": tolerance},
        **changes,
    }  # fmt: skip
    data = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    return {"manifest": data, "files": files, "sha256": sha(data)}


def wheel(files: dict[str, bytes] | None = None) -> bytes:
    """A wheel with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (files or {"toy/__init__.py": b"VERSION = 1\n"}).items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # the same bytes at any time
    return buffer.getvalue()


def give(wire: Wire, target: str = "tflite", data: bytes | None = None) -> str:
    """Gives the board a runner, the target's own by default; returns its sha256."""
    data = data or runner_package.package(target).data
    assert wire.call("runner", target=target, sha256=wire.put(data)) == {}
    return sha(data)


def provision(wire: Wire, data: bytes | None = None, version: str = "1.0", runner: str | None = None) -> str:
    """Provisions a toy runtime; returns its REF."""
    data = data or wheel()
    row = {"file": "toy-1.0-py3-none-any.whl", "sha256": wire.put(data), "size": len(data)}
    return wire.call("provision", name="toy", target="tflite", version=version, wheels=[row], runner=runner)[
        "ref"
    ]


def install(
    wire: Wire,
    built: dict,
    txn: str,
    version: str = "1",
    model: str = "digits",
    hooks=None,
    runtime=None,
    **more,
) -> str:
    """Uploads and installs an artifact, with the runner of its target; returns the release."""
    target = json.loads(built["manifest"])["target"]
    more = more if "runner" in more else {**more, "runner": give(wire, target)}
    for data in [*built["files"].values(), built["manifest"], *(hooks or {}).values()]:
        wire.put(data)
    kinds = {kind: sha(data) for kind, data in (hooks or {}).items()}
    runtime = runtime or provision(wire)
    answer = wire.call(
        "install",
        model=model,
        version=version,
        manifest=built["sha256"],
        runtime=runtime,
        hooks=kinds,
        txn=txn,
        **more,
    )
    return answer["release"]


def wait_until(condition, seconds: float = 40.0) -> None:
    """Waits for something that another process does."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)


def verified(root: Path, release: str, model: str = "digits") -> None:
    """Marks a release as verified, as the command does after the goldens."""
    from edgewright_agent.lifecycle.agent import Agent
    from edgewright_agent.session.commands import Commands

    Commands(Agent(str(root), "0" * 64), None).judge(model, release, "", "")


def current(root: Path, model: str = "digits") -> str | None:
    """The release that the link names; every file below it must be whole."""
    link = root / "models" / model / "current"
    try:
        folder = link.parent / link.readlink()  # stays the same while `current` moves on
    except FileNotFoundError:
        return None
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        assert sha((folder / entry["path"]).read_bytes()) == entry["sha256"]
    return folder.name


def begun(wire: Wire, model: str = "digits", ttl_s: float = 60) -> str:
    """A lease; returns its txn."""
    one = txn()
    assert wire.call("begin", model=model, txn=one, host="test", ttl_s=ttl_s) == {}
    return one


def deployed(
    wire: Wire, root: Path, tag: str, version: str, commit: bool = True, hooks=None, deadline_s: float = 30
) -> str:
    """Installs, activates and commits a release; returns it."""
    one = begun(wire)
    release = install(wire, artifact(tag), one, version, hooks=hooks)
    verified(root, release)
    before = current(root)
    answer = wire.call(
        "activate", model="digits", release=release, expected_current=before, txn=one, deadline_s=deadline_s
    )
    assert answer["state"] == "trial" and answer["from"] == before
    if commit:
        assert wire.call("commit", txn=one) == {"outcome": "committed"}
    wire.call("end", txn=one)
    return release


def unprivileged(root: Path) -> dict:
    """Options of a Wire whose agent is not a superuser's; it gets the root folder."""
    if os.geteuid():
        return {}
    for path in [root, *root.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    for folder in root.parents[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    drop = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
    return {
        "command": ["/usr/bin/python3", "-I", "-S", "-B", "-c", drop + protocol.BOOT]
    }  # others may read it


@pytest.fixture(scope="session")
def python() -> str:
    """The board's Python."""
    return PYTHON


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The helpers above, for test files."""
    helpers = (
        Wire,
        AgentFailureError,
        artifact,
        begun,
        current,
        deployed,
        give,
        install,
        provision,
        sha,
        txn,
        unprivileged,
        verified,
        wait_until,
        wheel,
    )
    return SimpleNamespace(REPOSITORY=REPOSITORY, **{helper.__name__: helper for helper in helpers})


@pytest.fixture(scope="session")
def pyz() -> bytes:
    return build_pyz()


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def connect(root, pyz):
    """Opens sessions on the test's root folder; all are closed afterwards."""
    opened = []

    def open_session(**options) -> Wire:
        wire = Wire(root, **{"pyz": pyz, **options})
        opened.append(wire)
        return wire

    yield open_session
    for wire in opened:
        wire.close()
