"""A repair or recovery moves strangers' files in a root folder aside, and the next command works."""

from __future__ import annotations

import shutil

import pytest

from edgewright_agent.storage import state as states


def folder(path) -> None:
    """Put a folder in a file's place."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def file(path) -> None:
    """Put a file in a folder's place."""
    if path.exists():
        shutil.rmtree(path)
    path.write_text("mine")


@pytest.fixture
def two(connect, kit, root):
    """A board with two releases, no session left."""
    wire = connect()
    found = kit.deployed(wire, root, "a", "1"), kit.deployed(wire, root, "b", "2")
    wire.close()
    return found


def test_a_repair_moves_everything_aside_that_is_in_the_way(two, connect, kit, root):
    file(root / "aside")
    file(root / "reserve.inodes")
    folder(root / "state.0.json.new")
    folder(root / "state.1.json.new")
    folder(root / "models/digits/records" / f"{two[0]}.json")
    (runtime,) = (root / "runtimes").iterdir()
    deep = runtime / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    (deep / "x.py").write_text("mine")
    wire = connect()
    answer = wire.call("repair", dry_run=False)
    assert len(answer["done"]) == 6 and answer["left"] == [], answer
    assert (root / "aside.1").read_text() == "mine" and len(list((root / "aside").iterdir())) == 5
    assert wire.call("repair", dry_run=False) == {"done": [], "left": []}
    kit.deployed(wire, root, "c", "3")


def test_folders_in_place_of_the_board_id_and_the_lock_refuse_no_session(two, connect, root):
    folder(root / "board_id")
    folder(root / "lock")
    wire = connect()
    assert len(wire.greeting["board_id"]) == 32
    assert (root / "aside/board_id.1").is_dir() and (root / "aside/lock.1").is_dir()


def test_a_model_whose_folder_was_deleted_says_so_and_can_be_deployed(two, connect, kit, root):
    shutil.rmtree(root / "models/digits")
    wire = connect()
    wire.call("repair", dry_run=False)
    assert {one["code"] for one in wire.call("status", files=True)["damage"]} == {"release-damaged"}
    one = kit.begun(wire)
    kit.install(wire, kit.artifact("c"), one, "3")


def test_recovery_deletes_nothing_of_a_person(two, connect, kit, root):
    model = root / "models/digits"
    (model / "versions" / two[0]).rename(model / "versions" / f"{two[0]}.bak")
    (model / "records/notes.txt").write_text("mine")
    (model / "current").unlink()
    (model / "current").write_text("my notes")
    connect()
    assert kit.current(root) == two[1]
    assert (root / "aside/models-digits-current.1").read_text() == "my notes"
    assert (root / f"aside/models-digits-versions-{two[0]}.bak.1/model.tflite").exists()
    assert (root / "aside/models-digits-records-notes.txt.1").read_text() == "mine"


def test_an_older_agent_repairs_no_board_of_a_newer_one(two, connect, kit, root):
    for slot in root.glob("state.?.json"):
        slot.write_bytes(states.encode({**states.decode(slot.read_bytes()), "schema": 2}))
    (root / "hooks/v2").mkdir()
    with pytest.raises(kit.AgentFailureError, match="newer-schema"):
        connect().call("repair", dry_run=False)
    assert (root / "hooks/v2").is_dir() and not (root / "aside").exists()


def test_damage_to_a_model_named_agent_stops_no_other_model(two, connect, kit, root):
    wire = connect()
    one = kit.begun(wire, "agent")
    release = kit.install(wire, kit.artifact("z"), one, "1", model="agent")
    kit.verified(root, release, "agent")
    wire.call("activate", model="agent", release=release, expected_current=None, txn=one, deadline_s=30)
    wire.call("commit", txn=one)
    wire.close()
    shutil.rmtree(root / "agent")
    (root / "agent").write_text("mine")
    folder(root / "models/agent/current")
    wire = connect()
    damage = wire.call("status")["damage"]
    assert sorted(found["model"] for found in damage) == ["", "agent"], damage
    (root / "agent").unlink()
    (root / "agent").mkdir()
    assert wire.call("infer", model="digits", inputs=None)["manifest"]
