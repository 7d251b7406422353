"""Links that stop silently: a stopped sshd, a black hole. Both ends notice, and the board is free again."""

from __future__ import annotations

import os
import signal
import time

import pytest

from edgewright.errors import Unreachable
from edgewright.wire import commands
from edgewright_agent.protocol import SILENCE_SECONDS

SHORT = 1.5  # seconds of silence
STEPS = ("begin", "put", "provision", "install", "verify", "activate", "commit")
SOON = ("activate",)
CASES = [pytest.param(step, id=step, marks=() if step in SOON else pytest.mark.slow) for step in STEPS]


def sessions(pi):
    """The server's processes except the listener."""
    listener = int((pi.lab.folder / "server.pid").read_text())
    return [pid for pid in pi.processes("sshd") if pid != listener]


@pytest.mark.parametrize("step", CASES)
def test_a_stopped_server_is_a_dead_link(pi, kit, survived, step):
    old = pi.current or pi.deploy("old", "old")
    session = pi.open()
    deployment = kit.Deployment(session, kit.artifact(step, more=1 << 20), step)
    for earlier in STEPS[: STEPS.index(step)]:
        getattr(deployment, earlier)()
    kit.hurry(session, SHORT)
    stopped = sessions(pi)
    assert stopped
    kit.signal_all(stopped, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            getattr(deployment, step)()
        assert time.monotonic() - began < 20
        session.close()
    finally:
        kit.signal_all(stopped, signal.SIGCONT)
    with pi.open() as session:
        kit.wait_until(lambda: session.call(commands.Status()).lease is None)
        outcome = session.call(commands.AskOutcome(txn=deployment.txn)).outcome
        assert outcome in {"activate": ("unknown", "trial"), "commit": ("trial", "committed")}.get(
            step, ("unknown",)
        )
        if outcome == "trial":
            assert session.call(commands.Revert(txn=deployment.txn)).outcome == "reverted"
        assert pi.current == (deployment.release if outcome == "committed" else old)
    pi.intact()
    assert pi.deploy("next", f"next-{step}") == pi.current
    survived("links: sshd stopped at a step")


@pytest.mark.slow
def test_an_agent_that_hears_nothing_ends_and_gives_the_board_free(pi, kit, make_link, survived):
    link = make_link(pi.board.port)
    session = pi.open(port=link.port)
    deployment = kit.Deployment(session, kit.artifact("hole"), "hole").ready()
    link.stall()
    began = time.monotonic()
    with pi.open() as other:
        assert other.call(commands.Status()).lease.model == kit.MODEL
        kit.wait_until(lambda: other.call(commands.Status()).lease is None, SILENCE_SECONDS + 15)
    assert time.monotonic() - began > SILENCE_SECONDS - 10
    with pytest.raises(Unreachable):
        deployment.activate()
    link.go_on()
    session.close()
    kit.wait_until(lambda: not pi.agents())
    survived("links: black hole, the agent ends by itself")


@pytest.mark.slow
def test_a_trial_in_a_black_hole_ends_at_its_deadline(pi, kit, make_link, survived):
    link, old = make_link(pi.board.port), pi.current or pi.deploy("old", "old")
    session = pi.open(port=link.port)
    deployment = kit.Deployment(session, kit.artifact("trial-hole"), "trial-hole").ready()
    deployment.activate(deadline_s=4)
    kit.hurry(session, SHORT)
    link.stall()
    assert pi.current == deployment.release
    kit.wait_until(lambda: pi.current == old)
    link.go_on()
    session.close()
    survived("links: black hole during a trial")


@pytest.mark.slow
def test_a_slow_and_late_link_carries_everything(pi, kit, make_link, survived):
    link = make_link(pi.board.port)
    link.delay_s, link.bytes_per_s = 0.02, 2e6
    with pi.open(port=link.port) as session:
        data = os.urandom(1_500_000)
        session.put(data)
        assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
        kit.Deployment(session, kit.artifact("slow"), "slow").whole()
    pi.intact()
    survived("links: slow and late")
