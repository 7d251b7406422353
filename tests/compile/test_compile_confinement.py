"""Workers that open models are confined, and every layer that is reported is in force; the user's own code runs as the user."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.compile.data import evaluation_set
from edgewright.compile.formats import FORMATS
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.confinement import landlock, libc
from edgewright.compile.workers.pool import Workers, as_user
from edgewright.errors import ConversionError
from edgewright.nouns.progress import ProgressEvent

TRY = """
import glob, json, os, pathlib, shutil, socket, sys
secret, mark, port, host = {secret!r}, {mark!r}, {port}, {host}
def tried(what):
    try:
        what()
    except OSError:
        return False
    return True
def changes(act, look):
    try:
        act()
        return look()
    except OSError:
        return False
pathlib.Path(os.environ["TMPDIR"], "result").write_text(json.dumps({{
    "reads": tried(lambda: open(secret).read()),
    "lists": tried(lambda: os.listdir(os.path.dirname(secret))),
    "writes": tried(lambda: open(mark, "w")),
    "connects": tried(lambda: socket.create_connection(("127.0.0.1", port), 2)),
    "signals": tried(lambda: os.kill(host, 0)),
    "users": tried(lambda: open("/etc/passwd").read()),
    "climbs": tried(lambda: open("/../etc/passwd").read()),
    "gives away": tried(lambda: os.chown(secret, os.getuid(), os.getgid())),
    "opens up": changes(lambda: os.chmod(secret, 0o666), lambda: os.stat(secret).st_mode & 0o777 != 0o600),
    "back-dates": changes(lambda: os.utime(secret, (1, 1)), lambda: os.stat(secret).st_mtime == 1),
    "sets the kernel up": any(tried(lambda: open(path, "r+b")) for path in (
        "/proc/sys/kernel/core_pattern", "/sys/kernel/mm/transparent_hugepage/enabled", *glob.glob("/sys/fs/cgroup/*/notify_on_release"))),
    "works": tried(lambda: (pathlib.Path(os.environ["TMPDIR"], "c").touch(), os.stat(os.environ["TMPDIR"] + "/c"), open("/usr/bin/env").read, os.makedirs(os.environ["TMPDIR"] + "/a"), open("/dev/null", "w"),
                            os.rename(os.environ["TMPDIR"] + "/a", os.environ["HOME"] + "/b"), socket.socketpair(), shutil.copy2("/usr/bin/env", os.environ["TMPDIR"]))),
}}))
"""


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[str]:
    """A program that tries what no model may do; the user's key is next to the folder of models."""
    secret = tmp_path / "users_home/.ssh/id_ed25519"
    secret.parent.mkdir(parents=True)
    secret.write_text("key")
    secret.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield TRY.format(
            secret=str(secret), mark=str(tmp_path / "mark"), port=listener.getsockname()[1], host=os.getpid()
        )


def tried(workers: Workers, worker: str, place: Path, program: str) -> dict[str, bool]:
    """The steps of the program, and whether each succeeded in a worker."""
    (place / "program.py").write_text(program + "\nanswer = json.loads(pathlib.Path(os.environ['TMPDIR'], 'result').read_text())\n"
        "[globals().pop(name) for name in list(globals()) if name not in ('answer', 'name')]\n")  # fmt: skip
    found: dict[str, bool] = workers.call(worker, "runpy", "run_path", path_name=str(place / "program.py"))[
        "answer"
    ]
    return found


def test_a_worker_that_opens_models_is_held(tmp_path: Path, attack: str) -> None:
    (tmp_path / "models").mkdir()
    with Workers(tmp_path / "log", reads=[tmp_path / "models"]) as workers:
        found = tried(workers, "onnx", tmp_path / "models", attack)
        assert found == {**dict.fromkeys(found, False), "works": True}
        assert workers.in_force["onnx"].files and workers.in_force["onnx"].network


def test_the_users_own_code_runs_as_the_user(tmp_path: Path, attack: str) -> None:
    events: list[ProgressEvent] = []
    with Workers(tmp_path / "log", progress=events.append) as workers:
        found = tried(workers, evaluation_set.WORKER, tmp_path, attack)
        assert found == {**dict.fromkeys(found, True), "sets the kernel up": found["sets the kernel up"]}
        assert workers.in_force[evaluation_set.WORKER].lacks and not events


def test_the_users_code_and_models_by_others_never_share_a_worker() -> None:
    own = {one.worker for one in FORMATS.own() if one.takes == "function"} | {evaluation_set.WORKER}
    others = {one.worker for one in FORMATS.own() if one.takes != "function"}
    assert own == {as_user("torch"), as_user("evaluation")} and not own & others
    assert FORMATS["pytorch"].worker_of("torch") == as_user("torch")
    assert FORMATS["pytorch"].worker_of("onnx") == "onnx"
    assert FORMATS["pt2"].worker_of("torch") == "torch"


LAYERS = """
import os, pathlib, sys
from edgewright.compile.workers.confinement import confine, landlock, namespaces, seccomp
for layer in sys.argv[2:]:
    {{"landlock": lambda: setattr(landlock, "version", lambda: 0),
      "seccomp": lambda: setattr(seccomp, "restrict", lambda machine: False),
      "namespaces": lambda: setattr(namespaces, "_unshare", lambda what: (_ for _ in ()).throw(PermissionError()))}}[layer]()
held = confine.confine(confine.Rules(writes=(os.environ["TMPDIR"],)))
exec({program!r})
print(held.files, held.network, sep=",")
"""


def layered(place: Path, program: str, without: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process that confines itself without some layers; it may write in `place`."""
    return subprocess.run(
        [sys.executable, "-P", "-c", LAYERS.format(program=program), "x", *without],
        capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": str(place), "HOME": str(place / "home")},
    )  # fmt: skip


@pytest.mark.parametrize("without", [[], ["landlock"], ["landlock", "seccomp"], ["landlock", "seccomp", "namespaces"]])  # fmt: skip
def test_what_is_said_to_be_in_force_is(tmp_path: Path, attack: str, without: list[str]) -> None:
    """Tests each layer that this kernel supports by itself."""
    place = tmp_path / "scratch"
    (place / "home").mkdir(parents=True)
    done = layered(place, attack, without)
    assert done.returncode == 0, done.stderr
    found = json.loads((place / "result").read_text())
    files, network = done.stdout.strip().split(",")
    assert found["works"] and found["connects"] is (not network)
    assert all(
        found[what] is (not files)
        for what in found
        if what not in ("works", "connects", "signals", "sets the kernel up")
    )
    assert not (files and found["sets the kernel up"])
    if landlock.version() and not without:
        assert files == f"Landlock {landlock.version()}"
    if "namespaces" in without:
        assert (files, network) == ("", "")


RIGHTS = """
import os, pathlib
lines = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
answer = {name: int(lines[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs")}
[globals().pop(name) for name in list(globals()) if name not in ("answer", "name")]
"""


def test_a_worker_has_no_rights_but_to_read(tmp_path: Path) -> None:
    """Root keeps DAC_OVERRIDE and DAC_READ_SEARCH, to open the user's model whatever its mode; nobody gains more."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/rights.py").write_text(RIGHTS)
    with Workers(tmp_path / "log", reads=[tmp_path / "models"]) as workers:
        found = workers.call("onnx", "runpy", "run_path", path_name=str(tmp_path / "models/rights.py"))[
            "answer"
        ]
    assert found["NoNewPrivs"] == 1
    kept = ("CapEff", "CapPrm", "CapBnd") if os.geteuid() == 0 else ("CapEff", "CapPrm")
    assert not any(found[name] & ~0b110 for name in kept)


def test_landlock_itself_keeps_from_tcp(tmp_path: Path, attack: str) -> None:
    """Runs without the filter of system calls, since each layer must hold by itself; Landlock denies TCP from version 4 on."""
    place = tmp_path / "scratch"
    (place / "home").mkdir(parents=True)
    done = layered(place, attack, ["seccomp", "namespaces"])
    assert done.returncode == 0, done.stderr
    found = json.loads((place / "result").read_text())
    assert found["connects"] is (landlock.version() < 4)


def test_the_kernels_own_landlock_is_used() -> None:
    try:
        found = libc.syscall(444, None, 0, 1)
    except OSError:
        found = 0
    assert landlock.version() == found


def test_a_conversion_reads_the_model_and_its_data_alone(
    small_models: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what a command grants: of the model's folder, only the model's file."""
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    source = tmp_path / "models/net.onnx"
    source.parent.mkdir()
    source.write_bytes((small_models("onnx") / "cnn.onnx").read_bytes())
    beside = source.with_name("beside")
    beside.write_text("x")
    with Workers(tmp_path / "log") as workers:
        request = compile_request(
            source=source, target="onnxruntime", precision="int8", calibration="synthetic"
        )
        assert compile_model(request, workers=workers).manifest.verdict
        with pytest.raises(ConversionError, match="PermissionError"):
            workers.call("onnx", "shutil", "copy", src=beside, dst=os.devnull)
        with pytest.raises(ConversionError, match="PermissionError"):
            workers.call("onnx", "os", "mkdir", path=str(tmp_path / "home/made"))
