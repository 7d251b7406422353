"""A disk with nothing left, of bytes or of inodes, still lets a board roll back, prune, and say what it has."""

import os

import pytest
from crashing import scene
from crashing.small_disk import SmallDisk
from test_reliability_full_disk import FILL, disk

from edgewright_agent.storage import reserve

__all__ = ["disk"]


@pytest.mark.parametrize("what", sorted(FILL))
def test_a_rollback_and_a_prune_work_on_a_full_disk(disk, monkeypatch, survived, what):
    monkeypatch.setattr(reserve, "RESERVE_BYTES", 1024 * 1024)
    commands = scene.start(disk.root)
    first = scene.deploy(commands, "a")
    second = scene.deploy(commands, "b")
    FILL[what](disk)
    files = commands.agent.files

    def eased(work, *arguments):
        with reserve.eased(files):
            return work(*arguments)

    txn = scene.uuid.uuid4().hex
    eased(commands.begin, "m", txn, "driver", 60)
    answer = eased(commands.rollback, "m", None, txn, 60.0, False, 1, "cpu", False)
    assert answer["release"] == first
    assert eased(commands.commit, txn) == {"outcome": "committed"}
    eased(commands.end, txn)
    assert scene.current(commands) == first
    assert commands.status(files=True)["damage"] == []
    assert eased(commands.logs, 10)["log"]["size"] > 0
    assert "m " + second in eased(scene.prune, commands, 1)["removed"]
    kept = commands.agent.files.path(reserve.RESERVE)
    assert os.path.isfile(kept) and os.path.getsize(kept) > 0, "the reserve is taken again"
    scene.stop(commands)
    survived(disk.title + ": rollback, logs, status and prune with no %s left" % what, 4)


def test_a_full_disk_says_what_it_lacks(disk):
    commands = scene.start(disk.root)
    for what, word in (("bytes", "the disk is full"), ("inodes", "no inodes are left")):
        if not disk.real:
            continue
        FILL[what](disk)
        with pytest.raises(scene.AgentError, match=word) as caught:
            for number in range(300):
                commands.agent.files.write("trash/%d" % number, b"x" * 8192)
        assert caught.value.code == "disk-full"
        disk.free()
    scene.stop(commands)
    assert SmallDisk
