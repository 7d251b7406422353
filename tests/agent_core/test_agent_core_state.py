import json

import pytest

from edgewright_agent.protocol import AgentError
from edgewright_agent.storage import state as states
from edgewright_agent.storage.files import Files


@pytest.fixture
def store(tmp_path):
    (tmp_path / "models").mkdir()
    return states.Store(Files(str(tmp_path)))


def slot_files(folder):
    return sorted(folder.glob("state.?.json"), key=lambda path: states.decode(path.read_bytes())["sequence"])


def test_the_newest_good_slot_counts(store, tmp_path):
    for number in range(4):
        with store.locked() as state:
            assert state["sequence"] == number
            state["lease"] = {"number": number}
            store.save(state)
    newest = slot_files(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-2])
    assert store.read()["lease"] == {"number": 2} and store.problem == ""
    with store.locked() as state:
        store.save(state)
    assert store.read()["sequence"] == 4


def test_with_both_slots_damaged_nothing_is_saved(store, tmp_path):
    for _ in range(2):
        with store.locked() as state:
            store.save(state)
    for path in tmp_path.glob("state.?.json"):
        path.write_bytes(b"0" * 64 + b"\n{}")
    assert store.read() == states.empty() and store.problem == "state-lost"
    with pytest.raises(AgentError, match=r"damaged") as refused:
        store.save(states.empty())
    assert refused.value.code == "state-lost"


def test_a_newer_schema_is_never_overwritten(store, tmp_path):
    newer = dict(states.empty(), schema=states.SCHEMA + 1, sequence=9)
    (tmp_path / "state.0.json").write_bytes(states.encode(newer))
    (tmp_path / "state.1.json").write_bytes(states.encode(dict(states.empty(), sequence=8)))
    state = store.read()
    with pytest.raises(AgentError) as refused:
        store.save(state)
    assert refused.value.code == "newer-schema"
    assert states.decode((tmp_path / "state.0.json").read_bytes()) == newer


def test_a_failed_fsync_is_never_retried_and_the_old_state_stands(tmp_path):
    class Failing(Files):
        broken = 0

        def step(self, operation, path):
            if operation == "fsync" and self.broken:
                self.broken += 1
                raise OSError(5, "input/output error")

    files = Failing(str(tmp_path))
    store = states.Store(files)
    store.save(states.empty())
    files.broken = 1
    with pytest.raises(AgentError) as failed:
        store.save(dict(states.empty(), lease={"x": 1}))
    assert failed.value.code == "io" and files.broken == 2
    assert store.read()["lease"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["state.0.json"]


def test_the_outcomes_that_are_remembered_are_bounded():
    state = states.empty()
    for number in range(2 * states.OUTCOMES):
        states.settle(state, str(number), "committed")
    assert len(state["outcomes"]) == states.OUTCOMES
    assert states.outcome_of(state, str(2 * states.OUTCOMES - 1)) == "committed"
    assert states.outcome_of(state, "0") is None


def test_after_both_slots_were_lost_current_stays_until_a_reset(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    wire.close()
    for path in root.glob("state.?.json"):
        path.write_bytes(b"\0" * 100)
    wire = connect()
    assert kit.current(root) == release and wire.call("status")["problem"] == "state-lost"
    with pytest.raises(kit.AgentFailureError, match=r"state-lost"):
        wire.call("begin", model="digits", txn=kit.txn(), host="h", ttl_s=9)
    assert wire.call("reset") == {}
    model = wire.call("status")["models"]["digits"]
    assert model["current"] == model["last_good"] == release == kit.current(root)
    assert model["releases"][release]["runtime"]
    kit.deployed(wire, root, "b", "2")
    with pytest.raises(kit.AgentFailureError, match=r"conflict"):
        wire.call("reset")


def test_a_reset_does_not_take_a_damaged_current(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    for path in root.glob("state.?.json"):
        path.write_bytes(b"")
    (root / "models/digits/versions" / release / "model.tflite").write_bytes(b"other")
    wire.close()
    wire = connect()
    (left,) = wire.call("reset")["left"]
    assert (left["code"], left["model"], left["release"]) == ("release-damaged", "digits", release)
    assert wire.call("status")["models"] == {}
    assert (root / f"aside/models-digits-versions-{release}.1/model.tflite").read_bytes() == b"other"
    assert not (root / "models/digits/current").is_symlink()


def lose(root) -> None:
    """Overwrite both slots of the state."""
    for path in root.glob("state.?.json"):
        path.write_bytes(b"lost")


def test_a_reset_keeps_the_good_releases_of_a_model_whose_current_is_damaged(connect, kit, root):
    wire = connect()
    first, second, third = (kit.deployed(wire, root, tag, tag) for tag in "123")
    wire.close()
    lose(root)
    (root / "models/digits/versions" / third / "model.tflite").write_bytes(b"other")
    (root / f"models/digits/records/{second}.json").write_text("[" * 100000)
    wire = connect()
    assert [one["release"] for one in wire.call("reset")["left"]] == [second, third]
    wire.close()
    wire = connect()
    model = wire.call("status")["models"]["digits"]
    assert set(model["releases"]) == {first} and model["current"] is None
    assert (root / "models/digits/versions" / first / "model.tflite").exists()
    txn = kit.begun(wire)
    assert kit.install(wire, kit.artifact("1"), txn, "1") == first


def test_a_reset_that_may_not_read_a_release_changes_nothing(kit, connect, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    wire.close()
    lose(root)
    folder = root / "models/digits/versions" / release
    folder.chmod(0)
    wire = connect(**kit.unprivileged(root))
    with pytest.raises(kit.AgentFailureError, match=r"^io: .*has the mode 0") as caught:
        wire.call("reset")
    assert caught.value.about == {"cause": "mode", "path": str(folder)}
    wire.close()
    folder.chmod(0o700)
    wire = connect(**kit.unprivileged(root))
    assert wire.call("status")["problem"] == "state-lost" and folder.exists()
    assert wire.call("reset") == {}
    assert wire.call("status")["models"]["digits"]["current"] == release


def test_the_state_is_readable_by_people(connect, kit, root):
    kit.begun(connect())
    assert json.loads((root / "state.0.json").read_text().partition("\n")[2])["lease"]["model"] == "digits"
