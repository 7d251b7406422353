"""What the disk cannot give back: reading `/proc/self/mem` at its start is a true EIO."""

import errno
import json
import os
import subprocess
import sys

import pytest
from crashing import scene

from edgewright_agent import clock
from edgewright_agent.lifecycle import watchdog

# a watchdog that says when it sleeps, which is after each look at the state
WATCH = """
import sys, time, types
from edgewright_agent.lifecycle import deadline
def sleep(seconds):
    print("sleeps", flush=True)
    time.sleep(seconds)
deadline.time = types.SimpleNamespace(sleep=sleep)
deadline.watch(sys.argv[1], "0" * 64, sys.argv[2])
"""


def break_slot(root, name):
    """From now on a slot cannot be read. Returns what was in it."""
    path = root / name
    data = path.read_bytes()
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        path.read_bytes()
    return data


@pytest.fixture
def board(tmp_path, monkeypatch):
    monkeypatch.setattr(scene.files, "os", os)
    monkeypatch.setattr(watchdog, "start", lambda *_: clock.owner())
    root = tmp_path / "root"
    commands = scene.start(str(root))
    yield root, commands
    scene.stop(commands)


@pytest.mark.parametrize("name", ["state.0.json", "state.1.json"])
def test_one_slot_that_cannot_be_read_is_as_good_as_damaged(board, survived, name):
    root, commands = board
    first = scene.deploy(commands, "a")
    txn = scene.begin(commands)
    commands.begin("m", txn, "driver", 600)  # both slots now hold what is current
    break_slot(root, name)
    assert scene.current(commands) == first == commands.store.read()["models"]["m"]["current"]
    commands.end(txn)
    assert scene.deploy(commands, "b") == scene.current(commands)
    assert not (root / name).is_symlink()
    survived("Disk errors: a slot of the state cannot be read")


@pytest.mark.parametrize("name", ["state.0.json", "state.1.json"])
def test_a_changed_bit_that_leaves_a_slot_readable_is_noticed(board, survived, name):
    root, commands = board
    first = scene.deploy(commands, "a")
    commands.begin("m", scene.begin(commands), "driver", 600)
    path = root / name
    text = path.read_text()
    damaged = text.replace('"last_good": "a-', '"last_good": "b-').replace('"sequence": ', '"sequence": 9')
    path.write_text(damaged)
    assert damaged != text and json.loads(damaged.partition("\n")[2])["models"]["m"]["last_good"] != first
    assert commands.store.read()["models"]["m"]["last_good"] == first
    survived("Disk errors: changed bits in a slot of the state")


@pytest.mark.parametrize("how", ["changed", "cut short", "gone"])
def test_a_damaged_runtime_is_offered_no_more_and_comes_back_when_provisioned(board, survived, how):
    root, commands = board
    first = scene.deploy(commands, "a")
    (ref,) = [one["ref"] for one in commands.agent.runtimes.listing()]
    (path,) = root.glob("runtimes/*/toy/native.so")
    whole = path.read_bytes()
    path.unlink() if how == "gone" else path.write_bytes({"changed": b"x", "cut short": b""}[how] + whole[1:])
    with pytest.raises(scene.AgentError, match="the runtime is damaged"):
        commands.job("m", first, 1, "cpu")
    assert commands.agent.runtimes.listing() == []
    assert scene.provision(commands) == ref
    assert [one["ref"] for one in commands.agent.runtimes.listing()] == [ref]
    assert path.read_bytes() == whole and commands.job("m", first, 1, "cpu")
    survived("Disk errors: a file of a runtime is damaged")


def test_a_watchdog_outlives_a_disk_that_fails_for_a_while(board, survived):
    root, commands = board
    first = scene.deploy(commands, "a")
    txn = scene.begin(commands)
    release = scene.install(commands, "b", txn)
    commands.activate("m", release, first, txn, 6, False)
    watchdog = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(root), txn], stdout=subprocess.PIPE, text=True
    )
    assert watchdog.stdout.readline() == "sleeps\n"
    kept = {name: break_slot(root, name) for name in ("state.0.json", "state.1.json")}
    for _ in range(2):
        assert watchdog.stdout.readline() == "sleeps\n", "the watchdog died of a read that failed"
    for name, data in kept.items():
        (root / name).unlink()
        (root / name).write_bytes(data)
    assert watchdog.wait(timeout=60) == 0
    watchdog.stdout.close()
    assert scene.current(commands) == first
    assert commands.outcome(txn) == {"outcome": "reverted"}
    survived("Disk errors: the state cannot be read for a while, under a watchdog")
