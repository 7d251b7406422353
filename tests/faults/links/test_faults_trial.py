"""Trials whose host vanishes, is late, or loses an answer; hooks that fail; agents that get a signal to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

import edgewright as ew
from edgewright.config import home
from edgewright.config import trust as trusts
from edgewright.connect.agent import package
from edgewright.deployments.settlement import settle
from edgewright.errors import BoardError, Unreachable
from edgewright.nouns.board import Pin
from edgewright.store.artifacts import ArtifactStore
from edgewright.wire import commands

HEALTH = {
    "fails": "#!/bin/sh\necho the sensor is gone >&2\nexit 3\n",
    "crashes": "#!/bin/sh\nkill -SEGV $$\n",
    "is killed": "#!/bin/sh\nkill -KILL $$\n",
    "is not a program": "this is not a program\n",
    "names a missing interpreter": "#!/no/such/interpreter\n",
    "hangs": "#!/bin/sh\nsleep 61.7\n",
}


@pytest.fixture
def old(pi):
    """The release that is current and good before a test."""
    return pi.current or pi.deploy("old", "old")


@pytest.mark.parametrize(
    "hook",
    [pytest.param(one, marks=() if one == "crashes" else pytest.mark.slow) for one in sorted(HEALTH)],
)
def test_a_health_hook_that_fails_puts_the_old_one_back(pi, kit, old, hasty_agent, survived, hook):
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact(hook), "sick", hooks={"health": HEALTH[hook]}).ready()
        with pytest.raises(BoardError) as caught:
            one.activate()
        assert caught.value.code == "hook-failed"
        assert session.call(commands.AskOutcome(txn=one.txn)).outcome == "reverted"
        record = session.call(commands.Status()).models[kit.MODEL]
        assert (record.current, record.trial, record.last_good) == (old, None, old)
        assert one.commit() == "reverted"
        one.end()
    assert pi.current == old
    kit.wait_until(lambda: not pi.agents())
    survived("trials: a health hook that fails, crashes or hangs")


def test_a_host_that_vanishes_right_after_the_activation(pi, kit, old, make_link, survived):
    link = make_link(pi.board.port)
    session = pi.open(port=link.port)
    one = kit.Deployment(session, kit.artifact("vanish"), "vanish").ready()
    one.activate(deadline_s=5)
    link.cut()
    assert pi.current == one.release
    kit.wait_until(lambda: len(pi.agents()) == 1)  # only the watchdog
    kit.wait_until(lambda: pi.current == old)
    kit.wait_until(lambda: not pi.agents())
    session.close()
    pi.intact()
    with pi.open() as later:
        assert later.call(commands.AskOutcome(txn=one.txn)).outcome == "reverted"
        assert later.call(commands.Commit(txn=one.txn)).outcome == "reverted"
    survived("trials: the host vanishes after the activation")


@pytest.fixture
def net(tmp_path):
    """A small model that no other test converts."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], tmp_path.name, ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "net.onnx"


def plan(pi, kit, model, *others, **changes):
    """A plan for the board, with changes to its entry in the fleet file, and for others; also the stages of the work."""
    board, seen = msgspec.structs.replace(pi.board, **changes), []
    boards = {one.name: one for one in (board, *others)}
    planned = ew.plan(
        ew.Fleet(name=pi.fleet.name, path=pi.fleet.path, boards=boards), model,
        name=kit.MODEL, target="onnxruntime", precision="fp32", progress=lambda event: seen.append(event.stage),
    )  # fmt: skip
    return planned, seen


def stored():
    """The ids of the artifacts in the store."""
    return {one.id for one in ArtifactStore(home.folder("artifacts")).list()}


@pytest.mark.parametrize("profile", ["", "generic-x86_64"])
def test_another_ones_trial_is_met_before_anything_is_converted(pi, kit, old, net, survived, profile):
    kept = stored()
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact(f"met {profile}"), "met").ready()
        one.activate(deadline_s=120)
        planned, seen = plan(pi, kit, net, profile=profile)
        assert one.commit() == "committed"
        one.end()
    (refused,) = planned.refused
    assert (refused.code, planned.plan.boards, stored()) == ("busy", (), kept)
    assert "convert" not in seen
    assert f"another release of {kit.MODEL} is on trial on {pi.board.name}: {one.release}" in refused.message
    survived("trials: another deployment meets one")


def test_a_trial_on_one_board_stops_no_other_and_a_silent_board_stays_in_the_plan(pi, kit, old, net):
    away = ew.Board(name="away", address="127.0.0.1", port=1, profile="generic-x86_64")
    with trusts.changing(pi.fleet) as trust:
        trust.boards["away"] = Pin(host_key=trust.boards[pi.board.name].host_key)
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact("one of two"), "two").ready()
        one.activate(deadline_s=120)
        planned, seen = plan(pi, kit, net, away, profile="generic-x86_64")
        assert one.commit() == "committed"
        one.end()
    assert [(board.board, board.code) for board in planned.refused] == [(pi.board.name, "busy")]
    assert [board.board for board in planned.plan.boards] == ["away"] and "convert" in seen
    with trusts.changing(pi.fleet) as trust:
        del trust.boards["away"]


def test_a_board_that_must_not_be_trusted_costs_no_conversion(pi, kit, net):
    kept = stored()
    with trusts.changing(pi.fleet) as trust:
        before = trust.boards.pop(pi.board.name)
    try:
        planned, seen = plan(pi, kit, net, profile="generic-x86_64")
    finally:
        with trusts.changing(pi.fleet) as trust:
            trust.boards[pi.board.name] = before
    assert [board.code for board in planned.refused] == ["host-key-unknown"]
    assert "convert" not in seen and stored() == kept


def test_boards_are_asked_for_trials_only_before_a_conversion(pi, kit, net, make_link):
    link = make_link(pi.board.port)
    for opened in (1, 0):  # the second finds the artifact in the cache
        before = link.opened
        planned, _ = plan(pi, kit, net, profile="generic-x86_64", port=link.port)
        assert len(planned.plan.boards) == 1 and link.opened - before == opened
    ready = planned.plan.boards[0].artifact
    before = link.opened
    planned, _ = plan(pi, kit, ew.load_artifact(ready), profile="generic-x86_64", port=link.port)
    assert planned.plan.boards[0].artifact == ready and link.opened == before


def test_a_commit_after_the_deadline_finds_it_reverted(pi, kit, old, survived):
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact("late"), "late").ready()
        one.activate(deadline_s=3)
        time.sleep(3.1)
        assert one.commit() == "reverted" and one.commit() == "reverted"
        assert session.call(commands.Revert(txn=one.txn)).outcome == "reverted"
        one.end()
    assert pi.current == old
    survived("trials: a commit that comes too late")


@pytest.mark.slow
def test_a_commit_and_a_deadline_at_the_same_moment_agree(pi, kit, survived):
    """Whichever wins, the answer, the state and the link agree."""
    before, ends = pi.current or pi.deploy("old", "old"), []
    with pi.open() as session:
        for number in range(6):
            one = kit.Deployment(session, kit.artifact(f"race{number}"), f"race{number}").ready()
            left = one.activate(deadline_s=2.5).deadline_s
            time.sleep(max(0.0, left - 0.01 + 0.004 * number))
            ends.append(one.commit())
            expected = one.release if ends[-1] == "committed" else before
            assert session.call(commands.Status()).models[kit.MODEL].current == expected == pi.current
            assert session.call(commands.AskOutcome(txn=one.txn)).outcome == ends[-1]
            one.end()
            before = expected
    survived("trials: a commit at the very deadline", len(ends))


@pytest.mark.parametrize(
    ("lost", "command", "deadline_s", "outcome"),
    [
        ("received", "commit", 30, "committed"),
        pytest.param("sent", "commit", 30, "committed", marks=pytest.mark.slow),
        ("received", "activate", 30, "committed"),
        pytest.param("sent", "activate", 30, "unknown", marks=pytest.mark.slow),
        ("sent", "commit", 3, "reverted"),
    ],
)
def test_a_lost_acknowledgement_is_settled_by_asking(
    pi, kit, old, make_link, survived, lost, command, deadline_s, outcome
):
    link = make_link(pi.board.port)
    session = pi.open(port=link.port)
    one = kit.Deployment(session, kit.artifact(f"{lost}{command}{outcome}"), "settled").ready()
    if command == "commit":
        one.activate(deadline_s=deadline_s)
    link.cut_after(**{lost: 0})
    with pytest.raises(Unreachable):
        getattr(one, command)()
    session.close()
    time.sleep(0 if outcome != "reverted" else deadline_s + 0.2)
    assert settle(pi.open, one.txn) == outcome
    assert pi.current == (one.release if outcome == "committed" else old)
    survived("trials: a lost acknowledgement, settled by `outcome`")


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGKILL,
    ],
)
@pytest.mark.slow
def test_an_agent_that_is_told_to_end_in_a_hook_takes_the_hook_along(pi, kit, old, survived, number):
    with pi.open() as session:
        hooks = {"activate": "#!/bin/sh\nsleep 61.9\n"}
        one = kit.Deployment(session, kit.artifact(f"told{number}"), "told", hooks=hooks, hook_s=6).ready()
        kit.wait_until(lambda: len(pi.agents()) == 1)  # the watchdog of an earlier trial may still be there
        (agent,) = pi.agents()
        with ThreadPoolExecutor(1) as pool:
            activation = pool.submit(one.activate, 1)
            kit.wait_until(lambda: pi.processes("sleep"))
            os.kill(agent, number)
            with pytest.raises(Unreachable):
                activation.result(30)
    if number != signal.SIGKILL:
        kit.wait_until(lambda: not pi.processes("sleep"), 30)
    kit.wait_until(lambda: pi.current == old)
    kit.signal_all(pi.processes("sleep"), signal.SIGKILL)
    with pi.open() as session:
        status = session.call(commands.Status())
        assert status.models[kit.MODEL].trial is None
        assert status.lease is None or number == signal.SIGKILL
        one.session = session
        one.end()
    survived("trials: the agent is asked to end, or killed, inside a hook")


def test_a_power_cut_in_a_trial_is_ended_by_the_guard_after_the_boot(pi, kit, old, tmp_path, survived):
    """All processes of the board are killed; then the guard runs, as cron would, in another boot."""
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact("power"), "power").ready()
        one.activate(deadline_s=500, unguarded=True)
        kit.signal_all(pi.agents(), signal.SIGKILL)
    kit.wait_until(lambda: not pi.agents())
    assert pi.current == one.release
    (tmp_path / "boot_id").write_text("00000000-0000-4000-8000-000000000000\n")
    pyz = pi.root / "agent" / f"{package.package().sha256}.pyz"
    script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id; exec python3 -I -S -B "$1" guard --root "$2"'
    space = ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-ec", script]
    for reverted in (1, 0):
        done = subprocess.run(
            [*space, tmp_path / "boot_id", pyz, pi.root], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["recovered"]) == reverted
        assert pi.current == old
    pi.intact()
    with pi.open() as session:
        assert session.call(commands.AskOutcome(txn=one.txn)).outcome == "reverted"
        one.session = session
        one.end()
    survived("trials: a power cut, then the guard in another boot")


def test_a_board_without_a_guard_says_why_and_refuses_a_long_trial(pi, kit, old):
    with pi.open() as session:
        answer = session.call(commands.Guard(install=True))
        assert answer.guard == "none" and not answer.tested and answer.why
        one = kit.Deployment(session, kit.artifact("long"), "long").ready()
        with pytest.raises(BoardError) as caught:
            one.activate(deadline_s=3000)
        assert caught.value.code == "no-guard" and pi.current == old
        one.activate(deadline_s=3000, unguarded=True)
        assert session.call(commands.Revert(txn=one.txn)).outcome == "reverted"
        one.end()
