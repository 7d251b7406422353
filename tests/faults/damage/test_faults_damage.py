"""Boards damaged by hand are repaired by following each hint literally."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from typing import NamedTuple

import pytest

STEPS = 4  # hints that a person follows
AGAIN = re.compile(r"deploy it again: --version (\S+)$")
BACKTICKS = re.compile(r"`([^`]+)`")
ROLLBACK = ("rollback", "tiny", "--on", "d-1")


class Way(NamedTuple):
    """A way to damage a board.

    Attributes:
        damage: damages it. goal: the command that must work in the end. says: a part of the first message.
        again: the model to deploy when a hint says "deploy it again".
    """

    damage: Callable[..., object]
    goal: tuple[str, ...]
    says: str
    again: str = ""


def folder_for_current(board):
    board.current().unlink()
    board.current().mkdir()
    (board.current() / "notes.txt").write_text("mine")


def change_a_byte(board):
    path = board.current().resolve() / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def pipe_for_a_manifest(board):
    (release,) = (one for one in (board.root / "models/tiny/versions").iterdir() if one.name.startswith("1-"))
    (release / "manifest.json").unlink()
    os.mkfifo(release / "manifest.json")


def folder_for_the_lock(board):
    (board.root / "lock").unlink()
    (board.root / "lock").mkdir()


def file_for_the_agent(board):
    shutil.rmtree(board.root / "agent")
    (board.root / "agent").write_text("mine")


def overwrite_the_state(board):
    for slot in board.root.glob("state.?.json"):
        slot.write_text("lost")


WAYS = {
    "a folder in place of current": Way(folder_for_current, ROLLBACK, "models/tiny/current: Is a directory"),
    "a model's folder given to another user": Way(
        lambda board: board.give(board.root / "models/tiny", 65501),
        ROLLBACK,
        "/.edgewright/models/tiny belongs to ",
    ),
    "the root folder given to another user": Way(
        lambda board: board.give(board.root, 65501), ROLLBACK, "it belongs to another user"
    ),
    "the state given to another user": Way(
        lambda board: [board.give(slot, 65501) for slot in board.root.glob("state.?.json")],
        ROLLBACK,
        "json belongs to ",
    ),
    "the folder of the current release deleted": Way(
        lambda board: shutil.rmtree(board.current().resolve()),
        ("status",),
        "manifest is gone: tiny 2-",
        "2.onnx",
    ),
    "a byte of the current release changed": Way(
        change_a_byte, ("status", "--verify"), "is damaged: model.onnx", "2.onnx"
    ),
    "a pipe in place of a manifest": Way(
        pipe_for_a_manifest, ("status",), "manifest is damaged: tiny 1-", "1.onnx"
    ),
    "a RUNTIME.json of another shape": Way(
        lambda board: (board.runtime / "RUNTIME.json").write_text('{"schema": 1, "files": []}'),
        ROLLBACK,
        "the runtime is not on this board",
    ),
    "no rights on models": Way(
        lambda board: (board.root / "models").chmod(0), ROLLBACK, "/models has the mode 0"
    ),
    "both copies of the state overwritten": Way(
        overwrite_the_state, ("fleet", "prune", "d-1", "--dry-run"), "both copies of the state are damaged"
    ),
    "a folder in place of the lock": Way(folder_for_the_lock, ROLLBACK, "lock: Is a directory"),
    "a file in place of the agent's folder": Way(file_for_the_agent, ROLLBACK, "agent: Not a directory"),
}


def follow(board, hint, way):
    """Does what a hint says; returns what was done."""
    found = BACKTICKS.search(hint)
    if found is None or not found[1].startswith(("edgewright ", "sudo ", "chmod ")):
        assert hint.startswith("deploy it again"), f"no command in: {hint}"
        version = AGAIN.match(hint)
        ran = board.deploy(way.again, *(["--version", version[1]] if version else []))
        assert ran.code == 0, ran.out + ran.err
        return f"edgewright deploy {way.again}"
    words = found[1].split()
    if words[0] == "edgewright":
        ran = board.run(*words[1:], *(["--yes"] if words[1:3] == ["fleet", "reset"] else []))
        assert ran.code == 0 or words[1] == "rollback", ran.out + ran.err
        return found[1]
    assert words[:4] == ["sudo", "chown", "-R", "edge"], hint
    inside = words[4].rpartition("/.edgewright")[2].strip("/")
    board.give(board.root / inside, board.owner.st_uid)
    return found[1]


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", WAYS)
def test_a_person_gets_out_by_what_the_messages_say(fresh, survived, name):
    way = WAYS[name]
    way.damage(fresh)
    done: list[str] = []
    ran = fresh.run(*way.goal)
    first = text = ran.out + ran.err
    assert ran.code == 2 and way.says in " ".join(text.split()), text
    logs = fresh.run("logs", "d-1")
    assert logs.code == 0 or "root folder" in logs.err, logs.err  # it needs none of the damaged files
    while ran.code and len(done) < STEPS:
        hints = [line.partition("hint: ")[2] for line in text.splitlines() if "hint: " in line]
        assert hints, text
        done.append(follow(fresh, hints[0], way))
        ran = fresh.run(*way.goal)
        text = ran.out + ran.err
    assert ran.code == 0, f"after {done}: {text}"
    if way.goal == ROLLBACK:
        assert fresh.current().readlink().name.startswith("1-")
    print(f"WAY | {name} | {first} | {done}")
    survived("damage by hand: a way out of each")


@pytest.mark.slow
def test_a_dry_run_says_what_a_repair_does_and_nothing_is_deleted(fresh, tmp_path):
    folder_for_current(fresh)
    folder_for_the_lock(fresh)
    file_for_the_agent(fresh)
    (fresh.root / "models/other").chmod(0o500)
    (fresh.runtime / "linked").symlink_to(tmp_path)
    before = sorted(str(path) for path in fresh.root.rglob("*") if "results" not in path.parts)
    planned = fresh.run("fleet", "repair", "d-1", "--dry-run", "--json")
    assert sorted(str(path) for path in fresh.root.rglob("*") if "results" not in path.parts) == before
    done = fresh.run("fleet", "repair", "d-1", "--json")
    (one,), (other,) = planned.json["boards"], done.json["boards"]
    assert (planned.code, done.code) == (0, 0), planned.out + done.out
    assert one["result"] == other["result"] and len(one["result"]["done"]) == 6, planned.out + done.out
    kept = fresh.root / "aside"
    assert (kept / "models-tiny-current.1" / "notes.txt").read_text() == "mine"
    assert (kept / "agent.1").read_text() == "mine"
    assert fresh.run("fleet", "repair", "d-1").out == "d-1: nothing to repair\n"
    assert fresh.run("status", "--verify").code == 0
