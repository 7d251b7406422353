"""The end of a trial that nobody commits: waits for its deadline, then recovers."""

import time

from edgewright_agent import clock, shapes
from edgewright_agent.installed.releases import Releases
from edgewright_agent.lifecycle import recovery, trial
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.lifecycle.trial import Trials
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import AgentError, Code

POLL_SECONDS = 1.0
RETRIES = 3600  # of a revert that the disk refuses, a second apart


def watch(root: "str", sha256: "str", txn: "str") -> "None":
    """Sleep while a trial is pending and has time left; then recover."""
    agent = Agent(root, sha256)
    deadline: "shapes.Deadline | None" = None
    while True:
        try:
            found = trial.find(agent.store.read(), txn)
            lost = agent.store.problem == Code.STATE_LOST
        except OSError:
            lost = True
        if lost and deadline and clock.left(deadline) > -RETRIES:
            time.sleep(POLL_SECONDS)  # the disk may come back, and the deadline stands
            continue
        if lost or found is None or agent.store.problem:
            return
        deadline = found[2]["deadline"]
        left = clock.left(deadline)
        if left <= 0:
            break
        time.sleep(min(POLL_SECONDS, left + 0.01))
    for _ in range(RETRIES):
        try:
            restore(agent)
            return
        except (
            AgentError,
            OSError,
        ):  # the lock is held, or the disk fails: the deadline stands, so go on trying
            time.sleep(POLL_SECONDS)


def restore(agent: "shapes.Agent") -> "list[shapes.Result]":
    """Recover, and run the hooks that this leaves to do. Returns the reverted trials."""
    recovered = recovery.recover(agent, Trials(agent, Releases(agent)))
    hooks.run_pending(agent)
    return recovered
