"""Ends a trial that no one commits: waits for its deadline, then recovers."""

import time

from edgewright_agent import clock, shapes
from edgewright_agent.installed.releases import Releases
from edgewright_agent.lifecycle import recovery, trial
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.lifecycle.trial import Trials
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import AgentError, Code

POLL_SECONDS = 1.0
RETRIES = 3600  # of a revert that fails because of the disk, one second apart


def watch(root: "str", sha256: "str", txn: "str") -> "None":
    """Sleep while a trial is pending and has time left; then recover."""
    agent = Agent(root, sha256)
    deadline: "shapes.Deadline | None" = None
    while True:
        try:
            found = trial.find(agent.store.read(), txn)
            lost = agent.store.problem == Code.STATE_LOST and agent.store.there()
        except (AgentError, OSError):
            lost = True
        if agent.files.gone():
            return
        if lost and deadline and clock.left(deadline) > -RETRIES:
            time.sleep(POLL_SECONDS)  # the disk may recover, and the deadline stands
            continue
        if lost or found is None or agent.store.problem:
            return
        deadline = found[2]["deadline"]
        left = clock.left(deadline)
        if left <= 0:
            model = found[0]
            break
        time.sleep(min(POLL_SECONDS, left + 0.01))
    for _ in range(RETRIES):
        if agent.files.gone():
            return
        try:
            agent.files.troubles.clear()
            restore(agent)
            if model not in agent.files.troubles:
                return
        except (
            AgentError,
            OSError,
        ):  # the lock is held, or the disk fails: the deadline stands, so keep trying
            pass
        time.sleep(POLL_SECONDS)


def restore(agent: "shapes.Agent") -> "list[shapes.Result]":
    """Recover, and run the pending hooks. Returns the reverted trials."""
    recovered = recovery.recover(agent, Trials(agent, Releases(agent)))
    hooks.run_pending(agent)
    return recovered
