import json
from pathlib import Path

import pytest

from edgewright_agent.lifecycle.agent import Agent


def test_a_committed_release_is_current_and_good(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    model = wire.call("status")["models"]["digits"]
    assert kit.current(root) == model["current"] == model["last_good"] == release
    assert model["trial"] is None and model["releases"][release]["state"] == "committed"


def test_a_revert_brings_back_what_was_there_absence_included(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False)
    trial = wire.call("status")["models"]["digits"]["trial"]
    assert trial["guard"] == "watchdog" and trial["from"] is None
    assert wire.call("revert", txn=trial["txn"], reason="too slow") == {"outcome": "reverted"}
    assert kit.current(root) is None
    assert wire.call("revert", txn=trial["txn"]) == {"outcome": "reverted"}
    assert wire.call("commit", txn=trial["txn"]) == {"outcome": "reverted"}
    assert wire.call("outcome", txn=trial["txn"]) == {"outcome": "reverted"}


def test_commit_is_idempotent_and_a_later_revert_finds_it_committed(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1", commit=False)
    txn = wire.call("status")["models"]["digits"]["trial"]["txn"]
    assert wire.call("outcome", txn=txn) == {"outcome": "trial"}
    for do in ("commit", "commit", "revert", "outcome"):
        assert wire.call(do, txn=txn) == {"outcome": "committed"}
    assert kit.current(root) == release
    assert wire.call("outcome", txn=kit.txn()) == {"outcome": "unknown"}
    with pytest.raises(kit.AgentFailureError, match=r"not-found"):
        wire.call("commit", txn=kit.txn())


def test_activation_is_compare_and_swap(connect, kit, root):
    wire = connect()
    first = kit.deployed(wire, root, "a", "1")
    txn = kit.begun(wire)
    second = kit.install(wire, kit.artifact("b"), txn, "2")
    args = {"model": "digits", "release": second, "txn": txn, "deadline_s": 30}
    with pytest.raises(kit.AgentFailureError, match=r"bad-argument.*not verified"):
        wire.call("activate", expected_current=first, **args)
    kit.verified(root, second)
    with pytest.raises(kit.AgentFailureError, match=r"conflict"):
        wire.call("activate", expected_current=None, **args)
    with pytest.raises(kit.AgentFailureError, match=r"busy"):
        wire.call("activate", expected_current=first, **{**args, "txn": kit.txn()})
    assert kit.current(root) == first
    wire.call("activate", expected_current=first, **args)
    with pytest.raises(kit.AgentFailureError, match=r"busy.*on trial"):
        wire.call("activate", expected_current=second, **args)


def test_a_damaged_release_is_not_activated(connect, kit, root):
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact("a"), txn)
    kit.verified(root, release)
    path = root / "models/digits/versions" / release / "model.tflite"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(kit.AgentFailureError, match=r"release-damaged"):
        wire.call("activate", model="digits", release=release, expected_current=None, txn=txn, deadline_s=30)
    assert kit.current(root) is None


def test_there_may_be_nothing_to_roll_back_to(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    for model, code in (("digits", "nothing-to-roll-back"), ("other", "not-found")):
        with pytest.raises(kit.AgentFailureError) as refused:
            wire.call("rollback", model=model, txn=kit.txn(), deadline_s=30)
        assert refused.value.code == code


def test_known_good_order_and_targets_of_rollbacks(connect, kit, root):
    from edgewright_agent.installed.releases import Releases
    from edgewright_agent.lifecycle.trial import Trials
    from edgewright_agent.protocol import AgentError

    wire = connect()
    one, two, three = (kit.deployed(wire, root, tag, str(n)) for n, tag in enumerate("abc", 1))
    agent = Agent(str(root), "0" * 64)
    trials = Trials(agent, Releases(agent))
    assert trials.target_of_rollback("digits", None) == (two, three)
    assert trials.target_of_rollback("digits", "1") == (one, three)
    txn = kit.begun(wire)
    wire.call("activate", model="digits", release=one, expected_current=three, txn=txn, deadline_s=30)
    wire.call("commit", txn=txn)
    assert wire.call("status")["models"]["digits"]["known_good"] == [one]
    with pytest.raises(AgentError, match=r"no known-good digits before this one"):
        trials.target_of_rollback("digits", None)
    assert trials.target_of_rollback("digits", three) == (three, one)


def script(text: str) -> bytes:
    return b"#!/bin/sh\n" + text.encode()


def test_hooks_see_the_new_release_and_the_old_one_is_told_after_a_revert(connect, kit, root):
    log = root.parent / "hooks.log"
    hook = script(f'echo "$EDGEWRIGHT_HOOK $EDGEWRIGHT_RELEASE $(readlink "$EDGEWRIGHT_CURRENT")" >> {log}\n')
    wire = connect()
    first = kit.deployed(wire, root, "a", "1", hooks={"activate": hook, "health": hook})
    assert log.read_text() == f"activate {first} versions/{first}\nhealth {first} versions/{first}\n"
    kit.deployed(wire, root, "b", "2", commit=False)
    txn = wire.call("status")["models"]["digits"]["trial"]["txn"]
    log.unlink()
    wire.call("revert", txn=txn)
    assert log.read_text() == f"activate {first} versions/{first}\n"


def test_a_failing_health_hook_reverts_and_is_remembered(connect, kit, root):
    wire = connect()
    first = kit.deployed(wire, root, "a", "1")
    bad = {"health": script("echo the camera is gone; exit 3\n")}
    with pytest.raises(kit.AgentFailureError, match=r"hook-failed.*exit code 3: the camera is gone"):
        kit.deployed(wire, root, "b", "2", hooks=bad)
    assert kit.current(root) == first
    assert wire.call("status")["models"]["digits"]["failed"][0]["code"] == "hook-failed"
    logged = wire.get(wire.call("logs", lines=50)["log"])
    assert b"the camera is gone" in logged and b"reverted" in logged


def test_what_failed_here_is_not_installed_again_but_with_other_hooks_it_is(connect, kit, root):
    wire = connect()
    txn = kit.begun(wire)
    args = {"model": "digits", "expected_current": None, "txn": txn, "deadline_s": 30}
    release = kit.install(wire, kit.artifact("a"), txn, hooks={"activate": script("exit 1\n")})
    kit.verified(root, release)
    with pytest.raises(kit.AgentFailureError, match=r"hook-failed"):
        wire.call("activate", release=release, **args)
    with pytest.raises(kit.AgentFailureError, match=r"failed-before"):
        kit.install(wire, kit.artifact("a"), txn, hooks={"activate": script("exit 1\n")})
    assert kit.install(wire, kit.artifact("a"), txn, hooks={"activate": script("exit 0\n")}) == release


def test_the_host_vanishing_in_a_hook_ends_hook_and_agent_and_the_watchdog_reverts(connect, kit, root):
    mark = root.parent / "pid"
    hook = script(f"echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 60\n")
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact("a"), txn, hooks={"activate": hook}, hook_s=5)
    kit.verified(root, release)
    wire.send("activate", model="digits", release=release, expected_current=None, txn=txn, deadline_s=1)
    kit.wait_until(mark.exists)
    assert wire.close() == 0
    pid = int(mark.read_text())
    kit.wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert kit.current(root) == release
    kit.wait_until(lambda: kit.current(root) is None)
    wire = connect()
    assert wire.call("outcome", txn=txn) == {"outcome": "reverted"}
    assert wire.call("status")["models"]["digits"]["failed"] == []


def test_an_application_is_asked_to_pause_while_a_release_is_measured(connect, kit, root):
    log = root.parent / "hooks.log"
    hook = script(f'echo "$EDGEWRIGHT_HOOK" >> {log}\n')
    wire = connect()
    release = kit.deployed(wire, root, "a", "1", hooks={"quiesce": hook, "resume": hook})
    evaluation = wire.put(b"no npz")
    args = {"model": "digits", "release": release, "evaluation": evaluation, "keep": "top5"}
    with pytest.raises(kit.AgentFailureError):
        wire.call("evaluate", **args)
    assert log.read_text() == "quiesce\nresume\n"
    assert newest_state(root)["quiesced"] == []


def newest_state(root) -> dict:
    slots = [json.loads(path.read_bytes().partition(b"\n")[2]) for path in root.glob("state.?.json")]
    return max(slots, key=lambda slot: slot["sequence"])


def test_recovery_wakes_an_application_whose_session_died(connect, kit, root):
    log = root.parent / "hooks.log"
    quiesce = script(f"echo quiet >> {log}; sleep 60\n")
    resume = script(f"echo awake >> {log}\n")
    wire = connect()
    release = kit.deployed(wire, root, "a", "1", hooks={"quiesce": quiesce, "resume": resume})
    evaluation = wire.put(b"no npz")
    wire.send("evaluate", model="digits", release=release, evaluation=evaluation, keep="top5")
    kit.wait_until(log.exists)
    connect().close()
    assert log.read_text() == "quiet\n"
    wire.process.kill()
    wire.process.wait()
    again = connect()
    kit.wait_until(lambda: log.read_text() == "quiet\nawake\n")
    kit.wait_until(lambda: newest_state(root)["pending"] == [] == newest_state(root)["quiesced"])
    assert again.call("ping") == {}


def test_a_reboot_ends_a_trial_whatever_time_it_had_left(connect, kit, root):
    wire = connect()
    first = kit.deployed(wire, root, "a", "1")
    second = kit.deployed(wire, root, "b", "2", commit=False, deadline_s=600)
    txn = newest_state(root)["models"]["digits"]["trial"]["txn"]
    wire.close()
    with Agent(str(root), "0" * 64).store.locked() as state:
        state["models"]["digits"]["trial"]["deadline"]["boot_id"] = "of the boot before"
        Agent(str(root), "0" * 64).store.save(state)
    wire = connect()
    assert wire.greeting["recovered"] in ([], [{"model": "digits", "txn": txn, "from": first, "to": second}])
    assert kit.current(root) == first
    assert wire.call("commit", txn=txn) == {"outcome": "reverted"}


def test_a_revert_does_not_need_the_space_that_a_full_disk_lacks(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False)
    about = (root / "reserve").stat()
    assert about.st_size == 4 * 2**20 and about.st_blocks * 512 >= about.st_size
    wire.call("revert", txn=newest_state(root)["models"]["digits"]["trial"]["txn"])
    assert not (root / "reserve").exists()
    kit.deployed(wire, root, "b", "2")
    assert (root / "reserve").exists()


def test_a_damaged_hook_begins_no_trial_and_another_deployment_mends_it(connect, kit, root):
    hook = b"#!/bin/sh\nexit 0\n"
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact(), txn, hooks={"health": hook})
    kit.verified(root, release)
    (root / "hooks" / kit.sha(hook)).write_bytes(b"#!/bin/sh\nexit 7\n")
    args = {"model": "digits", "release": release, "expected_current": None, "txn": txn, "deadline_s": 30}
    with pytest.raises(kit.AgentFailureError, match=r"release-damaged: the hook health of digits"):
        wire.call("activate", **args)
    assert wire.call("outcome", txn=txn) == {"outcome": "unknown"}
    assert kit.install(wire, kit.artifact(), txn, hooks={"health": hook}) == release
    assert wire.call("activate", **args)["state"] == "trial"
    assert wire.call("status")["models"]["digits"]["failed"] == []


def uncommitted(wire, kit, release, current, end) -> None:
    """Put a release on trial; it ends without a commit."""
    txn = kit.begun(wire)
    trial = wire.call(
        "activate", model="digits", release=release, expected_current=current, txn=txn, deadline_s=30
    )
    assert trial["state"] == "trial"
    assert wire.call("status")["models"]["digits"]["releases"][release]["state"] == "trial"
    end(txn)
    wire.call("end", txn=txn)


def targets(root):
    from edgewright_agent.installed.releases import Releases
    from edgewright_agent.lifecycle.trial import Trials

    agent = Agent(str(root), "0" * 64)
    return Trials(agent, Releases(agent)).target_of_rollback


def test_a_release_that_was_committed_stays_so_after_a_trial_that_nobody_committed(connect, kit, root):
    wire = connect()
    one, two, three = (kit.deployed(wire, root, tag, str(n)) for n, tag in enumerate("abc", 1))
    uncommitted(wire, kit, one, three, lambda txn: wire.call("revert", txn=txn))
    assert targets(root)("digits", "1") == (one, three)
    uncommitted(wire, kit, one, three, lambda txn: wire.call("commit", txn=txn))
    assert wire.call("status")["models"]["digits"]["known_good"] == [one]
    for _ in range(2):  # forward again: two and three were committed once
        assert targets(root)("digits", "3") == (three, one)
        uncommitted(wire, kit, three, one, lambda txn: wire.call("revert", txn=txn))
    states = {
        name: about["state"] for name, about in wire.call("status")["models"]["digits"]["releases"].items()
    }
    assert states == dict.fromkeys((one, two, three), "committed")


def test_a_known_good_release_that_an_older_agent_left_on_trial_comes_back(connect, kit, root):
    wire = connect()
    one, two = kit.deployed(wire, root, "a", "1"), kit.deployed(wire, root, "b", "2")
    wire.close()
    store = Agent(str(root), "0" * 64).store
    with store.locked() as state:
        state["models"]["digits"]["releases"][one]["state"] = "trial"  # as its `undo` left it
        store.save(state)
    wire = connect()
    assert wire.call("status")["models"]["digits"]["releases"][one]["state"] == "committed"
    assert targets(root)("digits", "1") == targets(root)("digits", None) == (one, two)
    uncommitted(wire, kit, one, two, lambda txn: wire.call("commit", txn=txn))
    assert kit.current(root) == one


def test_a_hook_that_fails_once_is_not_held_against_what_is_known_good(connect, kit, root):
    broken = root.parent / "broken"
    hook = {"health": script(f"test ! -e {broken}\n")}
    wire = connect()
    one, two = kit.deployed(wire, root, "a", "1", hooks=hook), kit.deployed(wire, root, "b", "2")
    broken.touch()
    txn = kit.begun(wire)
    args = {"model": "digits", "release": one, "expected_current": two, "txn": txn, "deadline_s": 30}
    with pytest.raises(kit.AgentFailureError, match=r"hook-failed"):
        wire.call("activate", **args)
    wire.call("end", txn=txn)
    assert wire.call("status")["models"]["digits"]["failed"] == []
    (root / "models/digits/versions" / one / "model.tflite").unlink()
    broken.unlink()
    assert kit.deployed(wire, root, "a", "1", hooks=hook) == one == kit.current(root)


def test_a_known_good_release_with_another_runtime_is_another_one(connect, kit, root):
    wire = connect()
    one, two = kit.deployed(wire, root, "a", "1"), kit.deployed(wire, root, "b", "2")
    txn = kit.begun(wire)
    (root / "models/digits/versions" / one / "model.tflite").unlink()
    assert kit.install(wire, kit.artifact("a"), txn) == one  # repaired
    assert wire.call("status")["models"]["digits"]["known_good"] == [one, two]
    other = kit.provision(wire, kit.wheel({"toy/__init__.py": b"VERSION = 2\n"}), version="2.0")
    assert kit.install(wire, kit.artifact("a"), txn, runtime=other) == one
    model = wire.call("status")["models"]["digits"]
    assert model["known_good"] == [two] and model["releases"][one]["state"] == "staged"
