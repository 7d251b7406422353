"""Fixtures of all tests. Fixtures and helpers that folders share are in tests/kit."""

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
from types import ModuleType

import needs
import pytest

from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers

pytest_plugins = ["state_homes", "module_labs", "longest_first", "sampling"]
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
SMALL_MODELS = Path(__file__).parent / "small_models"
for variable in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of `make test`: a test's own make must not take them
    os.environ.pop(variable, None)


@pytest.fixture(autouse=True, scope="session")
def others_at_work() -> Iterator[None]:
    """Other processes on this machine must not make a test's measurements invalid."""
    from edgewright.measure import validity

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validity, "CONTENTION_INVALID", 2.0)
        yield


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Sets the usual umask: a test may leave the agent's umask behind, which must not affect the next one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


OWN_TARGETS: dict[str, ModuleType] = {}


@pytest.fixture(autouse=True)
def runners_of_agents() -> Iterator[None]:
    """Restores the modules of targets: an agent in this process imports runners from memory under their names.

    The very modules that tests imported come back: a copy would not be the one that another module refers to.
    """
    OWN_TARGETS.update((name, one) for name, one in targets_imported() if not from_memory(one.__loader__))
    yield
    sys.meta_path[:] = [one for one in sys.meta_path if not from_memory(one)]
    gone = [name for name, one in targets_imported() if from_memory(one.__loader__)]
    if gone or OWN_TARGETS.keys() - sys.modules.keys():
        for name in gone:
            del sys.modules[name]
        sys.modules.update(OWN_TARGETS)


def targets_imported() -> list[tuple[str, ModuleType]]:
    """The imported modules of `edgewright_targets`."""
    return [(name, one) for name, one in sys.modules.items() if name.split(".")[0] == "edgewright_targets"]


def from_memory(loader: object) -> bool:
    """Whether modules come from an agent's packages in memory."""
    return type(loader).__name__ == "MemoryImporter"


@pytest.fixture(scope="session")
def kept_between_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers and later runs share: for files that take long to make and have a key."""
    if cache := getattr(request.config, "cache", None):
        return Path(cache.mkdir("made"))
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def small_models(kept_between_runs: Path) -> Callable[[str], Path]:
    """The folder of the small models of a kind, made at first use: `small_models("onnx")`.

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
    """`toolchain_folder("onnx2tf")`: the folder of a toolchain, installed at first use."""
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
def worker_folders(
    tmp_path_factory: pytest.TempPathFactory, kept_between_runs: Path
) -> dict[str, list[Path]]:
    """The paths that shared workers may read: otherwise each test's source would restart them. Commands grant less."""
    base = tmp_path_factory.getbasetemp()
    return {"reads": [kept_between_runs, Path(__file__).parents[1]], "writes": [base]}


@pytest.fixture(scope="session")
def workers(
    tmp_path_factory: pytest.TempPathFactory, worker_folders: dict[str, list[Path]]
) -> Iterator[Workers]:
    """Worker processes that tests share, as the compilations of one command do, since starting one takes long."""
    with Workers(tmp_path_factory.mktemp("log") / "convert.log", **worker_folders) as running:
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
    """Refuses to run without a real sshd, and makes signals work even if CI runs in the background, or under `nohup`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    needs.refuse_without()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Counts the tests that were skipped for lack of a tool."""
    needs.summarise(terminalreporter)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Fails a skipped test in CI: a test that does not run proves nothing."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
