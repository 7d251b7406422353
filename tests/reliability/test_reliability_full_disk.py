"""Property 5 of the board: a revert works on a full disk. The disk is a real, small one, and full of bytes or of files."""

import os

import needs
import pytest
from crashing import scene
from crashing.small_disk import SmallDisk

from edgewright_agent import clock
from edgewright_agent.lifecycle import watchdog


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(scene.files, "os", os)
    monkeypatch.setattr(watchdog, "start", lambda *_: clock.owner())
    monkeypatch.setattr(clock, "boot_id", clock.boot_id)
    needs.tool("mkfs.ext4")
    disk = SmallDisk(tmp_path, inodes=256)
    yield disk
    disk.free()
    disk.close()


FILL = {"bytes": SmallDisk.fill, "inodes": SmallDisk.fill_inodes}


def on_trial(commands, first, tag="b"):
    txn = scene.begin(commands)
    release = scene.install(commands, tag, txn)
    commands.activate("m", release, first, txn, 60, False)
    return txn, release


@pytest.mark.parametrize("what", sorted(FILL))
@pytest.mark.parametrize("who", ["host", "next session"])
def test_a_trial_is_reverted_on_a_full_disk(disk, monkeypatch, survived, what, who):
    commands = scene.start(disk.root)
    first = scene.deploy(commands, "a")
    txn, _ = on_trial(commands, first)
    FILL[what](disk)
    if who == "host":
        assert commands.revert(txn, "too slow") == {"outcome": "reverted"}
    else:
        scene.stop(commands)
        monkeypatch.setattr(clock, "boot_id", lambda: "the next boot")
        commands = scene.start(disk.root)
        assert [one["txn"] for one in commands.recovered] == [txn]
    assert scene.current(commands) == first == commands.store.read()["models"]["m"]["current"]
    assert commands.outcome(txn) == {"outcome": "reverted"}
    scene.stop(commands)
    disk.free()
    monkeypatch.setattr(clock, "boot_id", lambda: "a later boot")
    commands = scene.start(disk.root)
    assert scene.deploy(commands, "c") == scene.current(commands)
    scene.stop(commands)
    survived(disk.title + ": revert with no %s left, asked for by the %s" % (what, who))


@pytest.mark.parametrize("what", sorted(FILL))
def test_what_does_not_fit_is_refused_and_harms_nothing(disk, survived, what):
    commands = scene.start(disk.root)
    first = scene.deploy(commands, "a")
    txn = scene.begin(commands)
    FILL[what](disk)
    for work in (
        lambda: scene.put(commands, b"some new bytes"),
        lambda: scene.provision(commands, "2"),
        lambda: scene.install(commands, "b", txn),
        lambda: commands.begin("m", txn, "driver", 60),
        lambda: commands.end(txn),
        lambda: scene.deploy(commands, "c"),
    ):
        try:
            work()
        except scene.AgentError as error:
            assert error.code in ("disk-full", "busy")
        assert scene.current(commands) == first
    disk.free()
    commands.end(commands.store.read()["lease"]["txn"]) if commands.store.read()["lease"] else None
    assert scene.deploy(commands, "d") == scene.current(commands)
    scene.stop(commands)
    survived(disk.title + ": six commands with no %s left" % what, 6)


@pytest.mark.parametrize("what", sorted(FILL))
def test_a_commit_on_a_full_disk_is_whole_or_none(disk, monkeypatch, survived, what):
    commands = scene.start(disk.root)
    first = scene.deploy(commands, "a")
    txn, release = on_trial(commands, first)
    FILL[what](disk)
    try:
        told = commands.commit(txn)["outcome"]
    except scene.AgentError as error:
        told = error.code
    assert told in ("committed", "disk-full")
    scene.stop(commands)
    monkeypatch.setattr(clock, "boot_id", lambda: "the next boot")
    commands = scene.start(disk.root)
    assert scene.current(commands) == (release if told == "committed" else first)
    assert commands.outcome(txn)["outcome"] == ("committed" if told == "committed" else "reverted")
    scene.stop(commands)
    survived(disk.title + ": commit with no %s left" % what)
