"""A hook's time limit: the release's, else a minute; the trial's deadline is added to the limits."""

import json

import pytest

from edgewright_agent import clock
from edgewright_agent.storage.files import Files
from edgewright_agent.storage.state import Store


def activated(wire, kit, hooks, deadline_s=30, unguarded=False, **more):
    """Activate a release with hooks; returns (its name, the answer)."""
    txn = kit.begun(wire)
    try:
        release = kit.install(wire, kit.artifact(), txn, hooks=hooks, **more)
        kit.verified(wire.root, release)
        arguments = {"model": "digits", "release": release, "expected_current": None, "unguarded": unguarded}
        return release, wire.call("activate", txn=txn, deadline_s=deadline_s, **arguments)
    finally:
        wire.call("end", txn=txn)


@pytest.fixture
def wire(connect, root):
    one = connect()
    one.root = root
    return one


def test_a_hook_that_takes_longer_than_its_release_allows_reverts(wire, kit, root):
    mark = root.parent / "slept"
    with pytest.raises(kit.AgentFailureError, match=r"hook-failed: the hook activate took longer than 1 s"):
        activated(wire, kit, {"activate": f"#!/bin/sh\nsleep 50\ntouch {mark}\n".encode()}, hook_s=1)
    assert not mark.exists() and kit.current(root) is None
    (failed,) = wire.call("status")["models"]["digits"]["failed"]
    assert set(failed["hooks"]) == {"activate", "hook_s"} and failed["hooks"]["hook_s"] == 1


def test_with_more_time_the_same_hooks_are_tried_again(wire, kit, root):
    takes = root.parent / "seconds"
    slow = {"health": f"#!/bin/sh\nsleep $(cat {takes})\n".encode()}
    takes.write_text("50")
    with pytest.raises(kit.AgentFailureError, match="took longer than 1 s"):
        activated(wire, kit, slow, hook_s=1)
    with pytest.raises(kit.AgentFailureError, match="failed-before"):
        activated(wire, kit, slow, hook_s=1)
    takes.write_text("1.5")
    release, _ = activated(wire, kit, slow, hook_s=20)
    assert kit.current(root) == release


@pytest.mark.parametrize(
    ("kinds", "limit", "seconds"),
    [
        (["activate", "health", "quiesce"], {"hook_s": 200}, 200 + 200),
        (["activate", "health"], {}, 60 + 60),
        (["health"], {"hook_s": 0}, 60),
        (["quiesce"], {}, 0),
    ],
)
def test_a_trial_has_its_deadline_and_as_long_as_its_hooks_may_take(wire, kit, root, kinds, limit, seconds):
    began = clock.now()
    activated(
        wire, kit, dict.fromkeys(kinds, b"#!/bin/sh\nexit 0\n"), deadline_s=300, unguarded=True, **limit
    )
    trial = Store(Files(str(root))).read()["models"]["digits"]["trial"]
    assert began + 300 + seconds < trial["deadline"]["at"] < clock.now() + 300 + seconds


def test_a_hook_that_is_left_to_run_keeps_its_limit(wire, kit, root):
    release = kit.deployed(wire, root, "a", "1")
    txn = kit.begun(wire)
    second = kit.install(
        wire, kit.artifact("b"), txn, "2", hooks={"activate": b"#!/bin/sh\nexit 0\n"}, hook_s=7
    )
    from edgewright_agent.processes import hooks

    slots = [path.read_bytes().partition(b"\n")[2] for path in root.glob("state.?.json")]
    state = max(map(json.loads, slots), key=lambda one: one["sequence"])
    hooks.leave(state, "activate", "digits", second)
    hooks.leave(state, "activate", "digits", release)  # it has none
    assert [one["hook_s"] for one in state["pending"]] == [7]


@pytest.mark.parametrize("limit", [-1, 3601, True, "60", 1e308])
def test_a_limit_that_is_none_is_refused(wire, kit, limit):
    with pytest.raises(kit.AgentFailureError, match="bad-argument"):
        kit.install(wire, kit.artifact(), kit.begun(wire), hook_s=limit)
