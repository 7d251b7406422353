"""The part of `make_fixtures.py` that runs with the old packages: `python old_code.py OLD_TREE OUT`."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

HOME = "@HOME@"  # in place of the state folder's path
ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000"
HOST_FOLDERS = (
    "artifacts/objects",
    "artifacts/keys",
    "evaluations",
    "answers",
    "samples",
    "wheels",
    "trials",
)
HOOK = '#!/bin/sh\necho "$EDGEWRIGHT_HOOK $EDGEWRIGHT_RELEASE" >> hooks.txt\n'
PROFILE = """schema = 1
name = "shelf-pc"
title = "A PC on a shelf"
architectures = ["x86_64"]
memory_mb = 2048
cpu = "any"
targets = ["onnxruntime", "tflite"]
precision = "fp32"
threads = 2
accelerators = ["gpu"]
sensors = ["thermal", "cpufreq"]
models = ["Shelf PC*"]
pythons = ["3.11"]
runtimes = { onnxruntime = "1.20.0" }
source = "its sticker"
notes = ["it has no fan"]
"""
PROJECT = """schema = 1
name = "tiny"
model = "tiny.onnx"
version = "7"
precision = "int8"
precisions = { pi4b = "fp32", shelf-pc = "fp16" }
calibration = "calibration.npz"
evaluation = "evaluation.npz"
metric = "f1"
[conversion]
keep_float = ["conv"]
calibration_method = "percentile"
integer_io = true
accelerator = "gpu"
[conversion.ends]
inputs = ["image"]
outputs = ["scores"]
[inputs]
image = [1, 1, 8, 8]
[preprocessing]
size = [8, 8]
scale = 0.5
mean = [1.0]
std = [2.0]
channels = "gray"
layout = "nchw"
[hooks]
activate = "restart.sh"
health = "health.sh"
quiesce = "stop.sh"
resume = "start.sh"
timeout_s = 20
[budget]
p50_ms = 50.0
p95_ms = 80.0
peak_rss_mb = 200.0
size_mb = 20.0
max_drop = 0.01
noninferior = true
accelerator = "cpu"
max_slowdown = 0.5
[budgets.pi4b]
p95_ms = 40.0
"""


def loaded(path: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def run(*arguments: object, ends: int = 0) -> dict[str, Any]:
    """`edgewright ARGUMENTS --json`; it must end with this exit code."""
    from edgewright.cli.main import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*map(str, arguments), "--json"])
    assert code == ends, (arguments, out.getvalue())
    return json.loads(out.getvalue())  # type: ignore[no-any-return]


def this_boot() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def scrubbed(data: bytes) -> bytes:
    """Text without this machine's paths, and as of another boot."""
    for path in (os.environ["EDGEWRIGHT_HOME"], os.environ["HOME"]):
        data = data.replace(path.encode(), HOME.encode())
    return data.replace(this_boot().encode(), ANOTHER_BOOT.encode())


# --- what a host keeps


def write_models(old: Path, folder: Path) -> None:
    """tiny.onnx, tiny-2.onnx (its weights moved), wrong.onnx (its classes exchanged), dense.keras, and data."""
    e2e = loaded(old / "tests/e2e/conftest.py")
    (folder / "tiny.onnx").write_bytes(e2e.network(1))
    (folder / "tiny-2.onnx").write_bytes(e2e.retrained(e2e.network(1)))
    (folder / "wrong.onnx").write_bytes(e2e.network(1, swapped=True))
    images = np.random.default_rng(5).normal(0, 1, (24, 1, 8, 8)).astype(np.float32)
    import onnxruntime

    session = onnxruntime.InferenceSession(  # noqa: TID251 - 8d6a898 has no onnxsession; these are floats
        str(folder / "tiny.onnx"), providers=["CPUExecutionProvider"]
    )
    labels = np.array([session.run(None, {"image": image[None]})[0].argmax() for image in images])
    np.savez(folder / "calibration.npz", image=images)
    np.savez(folder / "evaluation.npz", image=images, labels=labels)
    import keras

    layers = [keras.layers.Input((6,), name="x"), keras.layers.Dense(4, activation="relu", name="y")]
    keras.utils.set_random_seed(1)
    keras.Sequential(layers).save(folder / "dense.keras")


def write_config(folder: Path, out: Path) -> None:
    """Project, fleet, trust and profile files, and what the old code reads in each: `meaning.json`."""
    from edgewright.config import fleet, profiles, project, trust
    from edgewright.nouns.board import BoardEntry, FleetFile, Pin, TrustFile

    config = out / "config"
    config.mkdir()
    (Path(os.environ["EDGEWRIGHT_HOME"]) / "profiles").mkdir(parents=True)
    for place in (config, Path(os.environ["EDGEWRIGHT_HOME"]) / "profiles"):
        (place / "shelf-pc.toml").write_text(PROFILE)
    (config / "edgewright.toml").write_text(PROJECT)
    run("init", folder / "tiny.onnx", "--output", folder / "init.toml")
    shutil.copy(folder / "init.toml", config)
    everything = {
        "address": "192.0.2.7", "user": "pi", "port": 2222, "profile": "pi4b", "labels": ("kitchen", "hall-1"),
        "root": "/srv/edgewright", "python": "/usr/bin/python3", "identity": "~/.ssh/id_ed25519",
        "jump": "admin@gate.example:22", "machine": "bench-pc", "group": "video",
    }  # fmt: skip
    boards = {"kitchen": BoardEntry(**everything), "shelf": BoardEntry(profile="shelf-pc")}
    defaults = BoardEntry(user="edge", labels=("shop",))
    fleet.save(config / "fleet.toml", FleetFile(name="shop-floor", defaults=defaults, boards=boards))
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "E" * 43
    pins = {
        "kitchen": Pin(host_key=key, board_id="a" * 32, serial="10000000abcdef01"),
        "shelf": Pin(host_key=key),
    }
    loaded_fleet = fleet.load(config / "fleet.toml")
    trust.save(loaded_fleet, TrustFile(boards=pins, hosts={"gate.example:22": Pin(host_key=key)}))
    meaning = {
        "fleet": msgspec.to_builtins(loaded_fleet.boards),
        "trust": msgspec.to_builtins(trust.load(loaded_fleet)),
        "project": msgspec.to_builtins(project.load(config / "edgewright.toml").file),
        "init": msgspec.to_builtins(project.load(config / "init.toml").file),
        "profile": msgspec.to_builtins(profiles.load("shelf-pc")),
    }
    write_json(config / "meaning.json", meaning)


def write_json(path: Path, what: object) -> None:
    path.write_text(json.dumps(what, indent=1, sort_keys=True) + "\n")


def toy_artifact(faults: ModuleType, folder: Path) -> str:
    """Puts an artifact of the toy runtime into the store, as a converter does; its id."""
    from edgewright.nouns.artifact import Manifest
    from edgewright.store.artifacts import ArtifactStore

    made = faults.artifact("toy")
    files = {}
    for path, data in made.files.items():
        files[path] = folder / path
        files[path].write_bytes(data)
    exact = {
        "max_abs": 0.0,
        "max_relative": 0.0,
        "cosine": 1.0,
        "sqnr_db": 200.0,
        "top1_agreement": 1.0,
        "count": 8,
    }
    about = json.loads(made.manifest)
    about["goldens"].update(origin="random", framework="by hand")
    about.update(source={"format": "tflite", "file": "toy.tflite", "sha256": "0" * 64}, parity=exact)
    store = ArtifactStore(Path(os.environ["EDGEWRIGHT_HOME"]) / "artifacts")
    return str(store.add(files, msgspec.convert(about, Manifest)).id)


def use_host(faults: ModuleType, toy: Path, folder: Path) -> None:
    """Deployments, a refusal, a rollback and a benchmark on a lab's board; a bundle; a toolchain's record."""
    from edgewright.connect.kits import Kit

    from edgewright.compile import toolchains
    from edgewright.connect import bundle, wheels

    to = ("--to", "old-2", "--name", "tiny", "--target", "onnxruntime", "--precision", "fp32")
    data = ("--calibration", folder / "calibration.npz", "--evaluation", folder / "evaluation.npz")
    run("deploy", folder / "tiny.onnx", *to, *data)
    run("deploy", folder / "tiny-2.onnx", *to, *data)
    run("deploy", folder / "wrong.onnx", *to, *data, ends=2)
    run("rollback", "tiny", "--on", "old-2")
    run("bench", "tiny", "--on", "old-2")
    run("convert", folder / "dense.keras", "--target", "tflite", "--precision", "fp32")
    run("deploy", toy_artifact(faults, folder), "--to", "old-3", "--name", "toy")
    wheel = wheels.describe(toy)
    about = {"target": "tflite", "distribution": "tflite-runtime", "version": "1.0", "python": "3.11"}
    kit = Kit(**about, arch="x86_64", glibc="2.17", wheels={wheel.file: wheel.sha256})
    bundle.write(folder / "toy.bundle", [kit], [wheel])
    bundle.take_in(folder / "toy.bundle")
    place = toolchains.folder("onnx2tf")
    place.mkdir(parents=True)
    row = toolchains.TOOLCHAINS["onnx2tf"]
    record = toolchains._Record(python="3.12.1", requirements=row.requirements)
    (place / "toolchain.json").write_bytes(msgspec.json.encode(record))


def keep_host(folder: Path, out: Path) -> None:
    """Copies what is small of the state folder, without this machine's paths."""
    home = Path(os.environ["EDGEWRIGHT_HOME"])
    for name in HOST_FOLDERS:
        for file in sorted((home / name).rglob("*")):
            if file.is_file() and file.stat().st_size < 100_000 and wanted(file):
                place = out / "home" / file.relative_to(home)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read_bytes())
    for name in ("lab/old/lab.json", "toolchains/onnx2tf/toolchain.json"):
        (out / "home" / name).parent.mkdir(parents=True)
        (out / "home" / name).write_bytes(scrubbed((home / name).read_bytes()))
    import sqlite3

    with contextlib.closing(sqlite3.connect(home / "history.sqlite3")) as database:
        database.execute("VACUUM INTO ?", [str(out / "home" / "history.sqlite3")])
    (out / "models").mkdir()
    for file in ("tiny.onnx", "toy.bundle", "tflite_runtime-1.0-py3-none-any.whl"):
        shutil.copy(folder / file, out / "models")


def wanted(file: Path) -> bool:
    """Of the wheels, those of the toy runtime alone and what names no others."""
    if file.parts[-2] != "wheels":
        return "wheels" not in file.parts or file.name.startswith("tflite_runtime")
    return file.name.startswith("kit-")


# --- what a board keeps


def use_board(faults: ModuleType, toy: bytes, board: Any) -> None:
    """Two models: one with a release on trial; one whose known-good release had a second trial that nobody committed."""
    faults.wheel = lambda: toy
    with board.open() as session:
        faults.Deployment(session, faults.artifact("first"), "1").whole()
        wrong = faults.Deployment(session, faults.artifact("wrong", factor=3.0), "9")
        wrong.begin(), wrong.put(), wrong.provision(), wrong.install()
        assert not wrong.verify()["ok"]
        wrong.end()
        hooks = {"activate": HOOK, "health": HOOK}
        faults.Deployment(session, faults.artifact("second"), "2", hooks=hooks, hook_s=10).whole()
    faults.MODEL = "stuck"
    with board.open() as session:
        first = faults.Deployment(session, faults.artifact("first"), "1").whole()
        faults.Deployment(session, faults.artifact("second"), "2").whole()
        back = faults.Deployment(session, faults.artifact("first"), "1")
        back.begin()
        went = session.call("rollback", model="stuck", txn=back.txn, deadline_s=30)
        assert went["release"] == first
        session.call("revert", txn=back.txn, reason="the link was cut")
        back.end()
        assert session.call("status")["models"]["stuck"]["releases"][first]["state"] == "trial"
    faults.MODEL = "doubler"


@contextlib.contextmanager
def on_trial(faults: ModuleType, board: Any) -> Iterator[None]:
    """A third release of the first model, on trial."""
    with board.open() as session:
        third = faults.Deployment(session, faults.artifact("third"), "3").ready()
        third.activate(deadline_s=600)
        third.end()
    yield
    with board.open() as session:
        session.call("revert", txn=third.txn, reason="made")


def other_boot(data: bytes) -> bytes:
    """A slot of the state as of another boot."""
    from edgewright_agent import state

    text = json.dumps(state.decode(data))
    return bytes(state.encode(json.loads(text.replace(this_boot(), ANOTHER_BOOT))))


def packed(root: Path) -> bytes:
    """A root folder as a .tar.gz: sorted, owned by nobody, of no time; modes and links as they are."""
    buffer = io.BytesIO()
    zipped = gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9)
    with zipped, tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            info = archive.gettarinfo(path, str(path.relative_to(root)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if not info.isreg():
                archive.addfile(info)
                continue
            info.type, info.linkname = tarfile.REGTYPE, ""  # not as a hard link
            data = path.read_bytes()
            data = other_boot(data) if path.name.startswith("state.") else data
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def make(old: Path, out: Path, folder: Path) -> None:
    """All of it."""
    import edgewright
    from edgewright.config import fleet
    from edgewright.connect import agent_package
    from edgewright.lab import boards

    assert edgewright.__file__.startswith(str(old)), edgewright.__file__
    faults = loaded(old / "tests/faults/conftest.py")
    write_models(old, folder)
    write_config(folder, out)
    path = folder / "fleet.toml"
    os.environ["EDGEWRIGHT_FLEET"] = str(path)
    try:
        made = boards.up(3, fleet_path=path, name="old")
        everything = fleet.load(path)
        first, _, third = (faults.LabBoard(everything.boards[one.name], everything, one) for one in made)
        (out / "agent.pyz").write_bytes(agent_package.package().data)
        toy = folder / "tflite_runtime-1.0-py3-none-any.whl"
        toy.write_bytes(faults.wheel())
        use_board(faults, toy.read_bytes(), first)
        with on_trial(faults, first):
            (out / "board.tar.gz").write_bytes(packed(first.root))
        loaded(Path(__file__).with_name("transcript.py")).write(faults, third, out / "old_host.jsonl")
        use_host(faults, toy, folder)
        keep_host(folder, out)
    finally:
        boards.down()


if __name__ == "__main__":
    tree, target = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    models = Path(os.environ["HOME"]) / "models"
    models.mkdir()
    make(tree, target, models)
