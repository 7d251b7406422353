"""What every test gets. The fixtures and helpers that folders share are in tests/kit."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import needs
import pytest

from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers

pytest_plugins = ["state_homes", "module_labs", "longest_first"]
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
SMALL_MODELS = Path(__file__).parent / "small_models"


@pytest.fixture(autouse=True, scope="session")
def others_at_work() -> Iterator[None]:
    """What runs beside a test makes none of its measurements invalid."""
    from edgewright.measure import validity

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validity, "CONTENTION_INVALID", 2.0)
        yield


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The usual umask: the agent's own, which a test may leave behind, must not decide what the next one sees."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def kept_between_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers share, and the next run finds again: for what takes long to make and is checked by a key."""
    if cache := getattr(request.config, "cache", None):
        return Path(cache.mkdir("made"))
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def small_models(kept_between_runs: Path) -> Callable[[str], Path]:
    """The folder of the small models of a kind, made when first asked for: `small_models("onnx")`.

    Kinds and what they write stand in tests/small_models/__main__.py; all models have names in common, such as
    `cnn` and `lstm`. `small_models("torch") / "torch_models.py"` is the module, `<it>:cnn` a source.
    """
    key = hashlib.sha256()
    for file in sorted(SMALL_MODELS.glob("*.py")):
        key.update(file.read_bytes())
    for name in ("tensorflow", "keras", "tf-keras", "torch", "onnx", "numpy"):
        key.update(f"{name} {metadata.version(name)}\n".encode())
    place = kept_between_runs / f"small_models-{key.hexdigest()[:16]}"

    def made(kind: str) -> Path:
        folder = place / kind
        place.mkdir(exist_ok=True)
        with (place / f"{kind}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                unfinished = place / f"{kind}.part"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                command = [sys.executable, "-W", "ignore", str(SMALL_MODELS), kind, str(unfinished)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=250)
                assert done.returncode == 0, done.stderr[-2000:]
                if kind == "torch":
                    shutil.copy(SMALL_MODELS / "torch_models.py", unfinished)
                unfinished.rename(folder)
        return folder

    return made


@pytest.fixture(scope="session")
def toolchain_folder(kept_between_runs: Path) -> Callable[[str], Path]:
    """`toolchain_folder("onnx2tf")`: where a toolchain is, installed when first asked for."""
    place = kept_between_runs / "with_toolchains"

    def installed(name: str) -> Path:
        place.mkdir(exist_ok=True)
        with pytest.MonkeyPatch.context() as patch, (place / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            patch.setenv("EDGEWRIGHT_HOME", str(place))
            if environments.describe(name).state != "ready":
                needs.toolchain(name)
                environments.install(name)
            return environments.folder(name)

    return installed


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Worker processes that the tests share, as the compilations of one command do: starting one takes long."""
    with Workers(tmp_path_factory.mktemp("log") / "convert.log") as running:
        yield running


@pytest.fixture
def survived(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Counts faults for docs/reliability.md: `survived("links: cut inside an upload", 12)`.

    Call it after the assertions: it says that so many faults of a kind were tried and survived. A kind is
    `<group>: <what was done>`, both words for a reader of the table. `tried` is for a test that lets some be lost.
    One JSON line a call is added to the file that EDGEWRIGHT_FAULTS names, else to `.pytest_cache/faults.jsonl`.
    """
    default = request.config.rootpath / ".pytest_cache" / "faults.jsonl"
    path = Path(os.environ.get("EDGEWRIGHT_FAULTS") or default)

    def record(kind: str, count: int = 1, *, tried: int | None = None) -> None:
        row = {"run": RUN, "test": request.node.nodeid, "kind": kind}
        row_counts = {"survived": count, "tried": count if tried is None else tried}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps({**row, **row_counts}) + "\n")

    return record


def pytest_sessionstart(session: pytest.Session) -> None:
    """Tests without a real sshd are none. And Ctrl-C means something, even where CI was started in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    needs.refuse_without()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was skipped for lack of a tool, counted."""
    needs.summarise(terminalreporter)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a skip is a failure: what is not run proves nothing."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
