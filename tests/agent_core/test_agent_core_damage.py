"""Strangers' files in a root folder: nothing hangs, everything else works, and nothing is kept twice."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright_agent import clock
from edgewright_agent.installed.releases import Releases
from edgewright_agent.lifecycle import deadline, standalone, status
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.protocol import AgentError
from edgewright_agent.session import server
from edgewright_agent.storage import reserve
from edgewright_agent.storage.results import SessionFiles


def alive(pid: int) -> bool:
    """Whether a process runs."""
    return clock.started(pid) is not None


def leave(root) -> None:
    shutil.rmtree(root)


def replace(root) -> None:
    root.rename(root.with_name("away"))
    root.mkdir(mode=0o700)


def put_back(root) -> None:
    """As from a backup: another folder, which says the same."""
    root.rename(root.with_name("away"))
    shutil.copytree(root.with_name("away"), root, symlinks=True)


def forget(root) -> None:
    for slot in root.glob("state.?.json"):
        slot.unlink()


def trial_of(root) -> dict:
    """The trial in the newest slot of the state."""
    slots = [json.loads(slot.read_bytes().partition(b"\n")[2]) for slot in root.glob("state.?.json")]
    newest = max(slots, key=lambda one: one["sequence"])
    return newest["models"]["digits"]["trial"]


@pytest.mark.parametrize(
    "how", [leave, replace, forget]
)  # it would watch the copy if that is there before it begins
def test_a_watchdog_ends_with_its_root_folder_or_its_trial(connect, kit, root, how):
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False, deadline_s=3600 / 10)
    pid = trial_of(root)["watchdog"]["pid"]
    assert alive(pid)
    wire.close()
    how(root)
    kit.wait_until(lambda: not alive(pid))


@pytest.mark.parametrize("how", [leave, replace, put_back, forget])
def test_a_watchdog_that_knows_its_deadline_does_not_wait_for_it(connect, kit, root, monkeypatch, how):
    """The one above may end before it has read the deadline; this one loses its root folder or its trial between two looks."""
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False, deadline_s=3600 / 10)
    txn = trial_of(root)["txn"]
    naps = []

    def nap(seconds):
        assert not naps, "it waits for a trial that is gone"
        naps.append(seconds)
        how(root)

    monkeypatch.setattr(deadline, "time", SimpleNamespace(sleep=nap))
    deadline.watch(str(root), "0" * 64, txn)
    assert len(naps) == 1


def test_a_release_that_is_pruned_while_status_looks_is_not_damaged(connect, kit, root, monkeypatch):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    damaged = kit.deployed(wire, root, "b", "2")
    kit.deployed(wire, root, "c", "3")
    (root / f"models/digits/versions/{damaged}/model.tflite").unlink()
    check, agent = Releases.check, standalone.local(str(root))

    def slow(releases, model, release, *more):
        if release.startswith("1-"):
            assert release in " ".join(wire.call("prune", keep=2)["removed"])
        return check(releases, model, release, *more)

    monkeypatch.setattr(Releases, "check", slow)
    found = status.status(agent, verify=True)["damage"]
    assert [one["release"] for one in found] == [damaged]


def test_only_who_asks_for_the_files_of_releases_waits_for_them(connect, kit, root, monkeypatch):
    damaged = kit.deployed(connect(), root, "a", "1")
    (root / f"models/digits/versions/{damaged}/model.tflite").unlink()
    agent = standalone.local(str(root))
    for asked in ({"files": True}, {"verify": True}):
        assert [one["release"] for one in status.status(agent, **asked)["damage"]] == [damaged]
    monkeypatch.setattr(Releases, "check", None)
    assert status.status(agent)["damage"] == []  # as a deployment asks


def test_pipes_and_devices_hang_nothing(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    other = kit.deployed(wire, root, "b", "2")
    wire.close()
    (runtime,) = (root / "runtimes").iterdir()
    for path in (
        root / "facts.json",
        root / "guard.json",
        root / f"models/digits/versions/{release}/manifest.json",
        root / f"models/digits/versions/{other}/model.tflite",
        runtime / "RUNTIME.json",
        *(root / "agent").iterdir(),
        *(root / "runners").iterdir(),
    ):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    began = time.monotonic()
    wire = connect()
    wire.call("facts")
    damage = {one["release"]: one["message"] for one in wire.call("status", verify=True)["damage"]}
    assert "manifest is damaged" in damage[release] and damage[other].endswith("model.tflite")
    with pytest.raises(kit.AgentFailureError, match=r"release-damaged"):
        wire.call("infer", model="digits", inputs=None)
    wire.call("prune", keep=1)
    assert time.monotonic() - began < 20


def held_open(path: Path, data: bytes) -> int:
    """Puts a pipe in a file's place that has a writer and holds `data`. Returns the writer's descriptor."""
    path.unlink()
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    assert os.write(writer, data) == len(data)
    return writer


def test_a_pipe_with_the_right_bytes_is_no_file(connect, kit, root):
    """Whoever writes to it could send other bytes to the next reader, after their hash was checked."""
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    path = root / f"models/digits/versions/{release}/manifest.json"
    writer = held_open(path, path.read_bytes())
    try:
        (found,) = wire.call("status", verify=True)["damage"]
        assert "manifest is damaged" in found["message"]
        with pytest.raises(kit.AgentFailureError, match=r"release-damaged"):
            wire.call("infer", model="digits", inputs=None)
    finally:
        os.close(writer)


def test_an_empty_pipe_for_a_slot_of_the_state_is_a_damaged_slot(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    wire.close()
    newest = max(
        root.glob("state.?.json"),
        key=lambda slot: json.loads(slot.read_bytes().partition(b"\n")[2])["sequence"],
    )
    (older,) = set(root.glob("state.?.json")) - {newest}
    writer = held_open(older, b"")  # a read finds nothing yet, which is not the end of a file
    try:
        assert connect().call("status")["models"]["digits"]["current"] == release
    finally:
        os.close(writer)


def test_a_sparse_giant_is_never_hashed(connect, kit, root):
    wire = connect()
    other = kit.deployed(wire, root, "a", "1")
    release = kit.deployed(wire, root, "b", "2")
    os.truncate(root / f"models/digits/versions/{release}/model.tflite", 2**40)
    (root / "incoming" / ("0" * 64)).touch()
    os.truncate(root / "incoming" / ("0" * 64), 2**40)
    began = time.monotonic()
    (found,) = wire.call("status", verify=True)["damage"]
    assert found["code"] == "release-damaged" and found["message"].endswith("model.tflite")
    with pytest.raises(kit.AgentFailureError, match=r"hash-mismatch"):
        wire.call("infer", model="digits", inputs="0" * 64, release=other)
    assert time.monotonic() - began < 20


def test_a_linked_folder_in_a_runtime_or_a_release_is_refused(connect, kit, root, tmp_path):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    (runtime,) = (root / "runtimes").iterdir()
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").write_text("raise SystemExit('it ran')")
    (runtime / "numpy").symlink_to(tmp_path / "evil")
    with pytest.raises(kit.AgentFailureError, match=r"runtime-damaged.*numpy") as caught:
        wire.call("infer", model="digits", inputs=None)
    assert caught.value.about["target"] == "tflite"
    assert wire.call("repair", dry_run=False)["done"] and not (runtime / "numpy").is_symlink()
    assert wire.call("infer", model="digits", inputs=None)["manifest"]
    folder = root / f"models/digits/versions/{release}"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(kit.AgentFailureError, match=r"release-damaged: the folder of .* is a link"):
        wire.call("infer", model="digits", inputs=None)
    (done,) = wire.call("repair", dry_run=False)["done"]
    assert "a link, moved to aside/" in done and not folder.is_symlink()


def test_a_release_that_a_prune_removes_while_status_hashes_is_no_damage(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    kit.deployed(wire, root, "b", "2")
    agent = Agent(str(root), "0" * 64)
    before = agent.store.read()
    assert wire.call("prune", keep=0)["removed"]
    assert status.damages(agent, before, True) == []


def test_what_is_installed_already_is_not_kept_twice(connect, kit, root):
    wire = connect()
    txn = kit.begun(wire)
    hook = b"#!/bin/sh\n"
    built = kit.artifact("a")
    first = kit.install(wire, built, txn, "1", hooks={"activate": hook})
    assert list((root / "incoming").iterdir()) == []
    for data in (*built["files"].values(), built["manifest"], hook):
        assert wire.call("part", sha256=kit.sha(data), size=len(data))["complete"]
    assert kit.install(wire, built, txn, "1", hooks={"activate": hook}) == first
    assert list((root / "incoming").iterdir()) == []


SHAPES = [
    "[]",
    "{}",
    '{"schema": 1}',
    '{"schema": 1, "ref": 7, "files": [], "wheels": 3}',
    "[" * 100000,
    "\xff",
]


@pytest.mark.parametrize("text", SHAPES, ids=range(len(SHAPES)))
def test_a_runtime_that_says_something_else_is_as_good_as_absent(connect, kit, root, text):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    (runtime,) = (root / "runtimes").iterdir()
    (runtime / "RUNTIME.json").write_bytes(text.encode("latin-1"))
    wire = connect()
    assert [one for one in wire.call("facts")["runtimes"] if not one["system"]] == []
    with pytest.raises(kit.AgentFailureError, match=r"runtime-missing"):
        wire.call("infer", model="digits", inputs=None)
    ref = kit.provision(wire)
    assert ref in [one["ref"] for one in wire.call("facts")["runtimes"]]
    assert wire.call("infer", model="digits", inputs=None)["manifest"]


def test_a_full_disk_is_eased_while_a_command_gives_something_back(root):
    root.mkdir(mode=0o700)
    files = SessionFiles(str(root), "1-1")
    reserve.keep(files)
    inodes = root / reserve.INODES
    assert len(list(inodes.iterdir())) == reserve.INODES_KEPT
    with reserve.eased(files):
        assert not (root / reserve.RESERVE).exists() and not inodes.exists()
    assert (root / reserve.RESERVE).stat().st_size == reserve.RESERVE_BYTES and inodes.is_dir()


def test_what_the_disk_still_has_becomes_the_reserve_again(root, monkeypatch):
    root.mkdir(mode=0o700)
    files = SessionFiles(str(root), "1-1")
    allocate = files.allocate

    def tight(name, size):
        if size > reserve.RESERVE_BYTES - 100_000:  # the command has left a file on a full disk
            raise AgentError("disk-full", "it is full")
        allocate(name, size)

    monkeypatch.setattr(files, "allocate", tight)
    with reserve.eased(files):
        pass
    assert (root / reserve.RESERVE).stat().st_size == reserve.RESERVE_BYTES * 7 // 8


def pipe(path) -> None:
    """Put a pipe in a file's place."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def test_pipes_where_files_are_written_hang_nothing(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    wire.close()
    data = b"q" * 100
    part = root / "incoming" / (kit.sha(data) + ".part")
    for path in (root / "agent.log", root / "reserve", part):
        pipe(path)
    (root / "models/digits/current").unlink()  # recovery notes it
    wire = connect()
    assert wire.call("part", sha256=kit.sha(data), size=len(data))["offset"] == 0
    with pytest.raises(kit.AgentFailureError) as caught:
        wire.put(data)
    assert caught.value.about == {"cause": "strange", "path": str(part)}
    with pytest.raises(kit.AgentFailureError) as caught:
        kit.install(wire, kit.artifact("c"), kit.begun(wire), "3")
    assert caught.value.about == {"cause": "strange", "path": str(root / "reserve")}
    assert len(wire.call("repair", dry_run=False)["done"]) == 3
    assert wire.put(data) == kit.sha(data)


@pytest.fixture
def served(connect, kit, pyz, root):
    """The releases of a board that has its reserve."""
    wire = connect()
    first, second = kit.deployed(wire, root, "a", "1"), kit.deployed(wire, root, "b", "2")
    wire.close()
    return first, second


def greeted(pyz, root, monkeypatch, kit):
    """A server on a disk that has room for the reserve alone; returns it."""
    monkeypatch.setattr(SessionFiles, "step", full_but_for_the_reserve)
    agent, greeting = server.greet({"root": str(root), "agent": {"sha256": kit.sha(pyz)}}, pyz)
    assert len(greeting["board_id"]) == 32
    return server.Server(agent, *os.pipe())


def full_but_for_the_reserve(files, operation, path):
    """Like a disk on which a log takes what is free, at once."""
    if operation in ("create", "mkdir", "symlink", "append") and Path(files.path(reserve.RESERVE)).exists():
        raise AgentError("disk-full", "the disk is full: " + path)
    if operation == "allocate":
        raise AgentError("disk-full", "the disk is full: " + path)


def test_only_what_a_full_disk_stops_takes_the_reserve(served, pyz, root, monkeypatch, kit):
    for do, given in (("ping", {}), ("status", {}), ("facts", {}), ("prune", {"keep": 5, "dry_run": True})):
        assert "ok" in greeted(pyz, root, monkeypatch, kit).work(do, given), do
        assert (root / reserve.RESERVE).stat().st_size == reserve.RESERVE_BYTES, do
    session = greeted(pyz, root, monkeypatch, kit)
    refused = session.work("runner", {"target": "tflite", "sha256": "0" * 64})
    assert "error" in refused and (root / reserve.RESERVE).exists()
    begun = {"model": "digits", "txn": kit.txn(), "host": "test", "ttl_s": 60}
    assert session.work("begin", begun) == {"ok": {}}
    assert not (root / reserve.RESERVE).exists()


def test_an_agent_that_does_not_fit_on_a_full_disk_is_kept_by_the_rollback_that_needs_it(
    served, pyz, root, monkeypatch, kit
):
    for kept in (root / "agent").iterdir():
        kept.unlink()
    session = greeted(pyz, root, monkeypatch, kit)
    assert not list((root / "agent").iterdir()) and (root / reserve.RESERVE).exists()
    one = kit.txn()
    session.work("begin", {"model": "digits", "txn": one, "host": "test", "ttl_s": 60})
    (root / reserve.RESERVE).write_bytes(b"")
    given = {"model": "digits", "release": served[0], "txn": one, "threads": 1, "accelerator": None}
    session.work("verify", given)
    assert list((root / "agent").iterdir())
