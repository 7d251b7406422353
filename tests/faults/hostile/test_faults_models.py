"""Hostile models: they are refused because of their bytes, and confined if the user trusts them. Without confinement, each attack works."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.recognition import recognise
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.confinement.confine import OFF
from edgewright.compile.workers.pool import Workers
from edgewright.errors import EdgewrightError, ModelError

pytestmark = pytest.mark.slow  # TensorFlow starts three times, PyTorch twice
MAKE = Path(__file__).with_name("hostile_models.py")
JOBS = "edgewright.compile.tasks.source"


class Attack(NamedTuple):
    """Hostile models, and the paths and the port of this machine that they attack."""

    models: Path
    secret: Path
    mark: Path
    listener: socket.socket

    def called(self) -> bool:
        """Whether anyone has connected since the last question."""
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    place = tmp_path_factory.mktemp("users_home")
    models, secret, mark = place / "models", place / ".ssh/id_ed25519", place / "mark"
    models.mkdir()
    secret.parent.mkdir()
    secret.write_text("the user's key\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        command = [sys.executable, "-W", "ignore", MAKE, models, secret, mark, str(listener.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        yield Attack(models, secret, mark, listener)


@pytest.fixture(scope="module", params=["confined", "not confined"])
def workers(
    request: pytest.FixtureRequest, attack: Attack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    """Workers that may read the models, like those of a command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_HOME", str(tmp_path_factory.mktemp("state")))
        if request.param == "not confined":
            patch.setenv(OFF, "off")
        with Workers(tmp_path_factory.mktemp("log") / "log", reads=[attack.models]) as running:
            yield running


def opened(workers: Workers, path: Path, kind: str) -> Any:
    source = SourceRef(path=path, format=kind, trusted=True)
    return workers.call("tensorflow", JOBS, "read_the_model", source=source, samples=SampleSet())


def held(workers: Workers) -> bool:
    """Whether these workers are confined."""
    (found, *_) = workers.in_force.values()
    return bool(found.files and found.network)


def outcome(work: Callable[[], Any]) -> str:
    """The error of a job; empty if it succeeded."""
    try:
        work()
    except EdgewrightError as error:
        return error.message
    return ""


def test_a_saved_model_that_reads_a_key(workers: Workers, attack: Attack) -> None:
    failed = outcome(lambda: opened(workers, attack.models / "reads", "savedmodel"))
    assert bool(failed) == held(workers) and ("PermissionDenied" in failed) == held(workers)


def test_a_saved_model_that_writes_into_the_home(workers: Workers, attack: Attack) -> None:
    failed = outcome(lambda: opened(workers, attack.models / "writes", "savedmodel"))
    assert bool(failed) == held(workers)
    assert attack.mark.exists() is not held(workers)
    attack.mark.unlink(missing_ok=True)


def test_a_keras_layer_that_calls_home(workers: Workers, attack: Attack) -> None:
    failed = outcome(lambda: opened(workers, attack.models / "lambda.keras", "keras"))
    assert bool(failed) == held(workers)
    assert attack.called() is not held(workers)


READ_ALL = """
import h5py
with h5py.File(FILE) as file:
    names = []
    file.visititems_links(lambda name, link: names.append(name))
    for name in names:
        file[name]
globals().clear()
"""


def test_an_h5_file_whose_weights_are_elsewhere(workers: Workers, attack: Attack) -> None:
    """Today's Keras itself refuses links, so the test reads the file with HDF5."""
    program = attack.models / "read_all.py"
    program.write_text(READ_ALL.replace("FILE", repr(str(attack.models / "linked.h5"))))
    failed = outcome(lambda: workers.call("tensorflow", "runpy", "run_path", path_name=str(program)))
    assert bool(failed) == held(workers)


def test_a_pickle_that_runs_a_command(workers: Workers, attack: Attack) -> None:
    """No source is ever unpickled, so the test calls PyTorch directly."""
    outcome(
        lambda: workers.call("torch", "torch", "load", f=str(attack.models / "net.pt"), weights_only=False)
    )
    assert attack.mark.exists() is not held(workers)
    attack.mark.unlink(missing_ok=True)


def test_onnx_weights_that_lie_elsewhere(workers: Workers, attack: Attack) -> None:
    """Today's ONNX readers themselves refuse such paths, so the test reads the file directly."""
    failed = outcome(
        lambda: workers.call("onnx", "numpy", "fromfile", file=str(attack.secret), dtype="uint8")
    )
    assert bool(failed) == held(workers) == ("Permission denied" in failed)


REFUSED = {
    "reads": "holds operators that reach files, Python or the network: ReadFile",
    "writes": "holds operators that reach files, Python or the network: WriteFile",
    "net.pt": "is a pickled .*system, and opening a pickle runs whatever code it names",
}


@pytest.mark.parametrize("name", REFUSED)
def test_they_are_refused_by_their_bytes(attack: Attack, name: str) -> None:
    with pytest.raises(ModelError, match=REFUSED[name]) as caught:
        recognise(attack.models / name)
    assert ("--trust-model" in caught.value.hint) == (name != "net.pt")


OPENED = {
    "lambda.keras": ("keras", "holds Python code, a lambda layer: lambda.keras: calls_home"),
    "linked.h5": ("h5", "has weights in another file: linked.h5: model_weights/"),
}


@pytest.mark.parametrize("name", OPENED)
def test_they_are_refused_before_keras_opens_them(workers: Workers, attack: Attack, name: str) -> None:
    kind, message = OPENED[name]
    source = SourceRef(path=attack.models / name, format=kind)
    with pytest.raises(ModelError, match=message) as caught:
        workers.call("tensorflow", JOBS, "read_the_model", source=source, samples=SampleSet())
    assert "--trust-model" in caught.value.hint and not attack.called()
