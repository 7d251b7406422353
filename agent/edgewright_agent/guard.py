"""The watchdog: the only process that outlives a session, and only during a trial. It reverts when the
deadline passes."""

import json
import os
import select
import sys
import time

from edgewright_agent import clock, spawn
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.state import SCHEMA

POLL_SECONDS = 1.0
READY_SECONDS = 30.0  # a small board at full load takes most of it to start a Python
RETRIES = 3600  # of a revert that the disk refuses, a second apart


def start(agent, txn):
    """Start a detached watchdog for a trial whose intent is durable.

    Returns:
        Its `clock.owner` record, and the schema of the state that it reads.

    Raises:
        AgentError: `no-guard`, when it does not report in time.
    """
    try:
        process = spawn.start("guard", {"txn": txn}, agent.files.root, agent.sha256)
    except (AgentError, OSError) as error:
        raise AgentError(Code.NO_GUARD, "the watchdog did not start: %s" % error)
    line, limit = b"", time.monotonic() + READY_SECONDS
    pipe = process.stdout.fileno()
    while not line.endswith(b"\n") and select.select([pipe], [], [], max(0.0, limit - time.monotonic()))[0]:
        piece = os.read(pipe, 4096)
        if not piece:
            break
        line += piece
    spawn.finish(process, kill=not line.endswith(b"\n"))
    try:
        owner = {key: json.loads(line.decode("ascii"))[key] for key in ("pid", "started", "boot_id")}
        return dict(owner, schema=SCHEMA)
    except (ValueError, KeyError):
        raise AgentError(Code.NO_GUARD, "the watchdog did not report")


def detach():
    """Leave the session for good: a grandchild without a terminal, a parent or any open descriptor goes
    on."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.write(1, json.dumps(clock.owner()).encode("ascii") + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, 256)


def main(hello, pyz):  # noqa: ARG001 - the loader's signature
    """Watch one trial until it is over, or end it."""
    os.umask(0o077)
    detach()
    watch(hello["root"], hello["agent"]["sha256"], hello["txn"])
    os._exit(0)


def watch(root, sha256, txn):
    """Sleep while a trial is pending and has time left; then recover."""
    from edgewright_agent import trial
    from edgewright_agent.agent import Agent

    agent, deadline = Agent(root, sha256), None
    while True:
        try:
            _, record = trial.find(agent.store.read(), txn)
            lost = agent.store.problem == Code.STATE_LOST
        except OSError:
            lost = True
        if lost and deadline and clock.left(deadline) > -RETRIES:
            time.sleep(POLL_SECONDS)  # the disk may come back, and the deadline stands
            continue
        if lost or record is None or agent.store.problem:
            return
        deadline = record["trial"]["deadline"]
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


def restore(agent):
    """Recover, and run the hooks that this leaves to do. Returns the reverted trials."""
    from edgewright_agent import hooks, recovery
    from edgewright_agent.releases import Releases
    from edgewright_agent.trial import Trials

    recovered = recovery.recover(agent, Trials(agent, Releases(agent)))
    hooks.run_pending(agent)
    return recovered


def local(root):
    """An Agent for a program started by hand or by cron, on a root folder that is there."""
    from edgewright_agent import root as root_folder
    from edgewright_agent.agent import Agent

    path = os.path.expanduser(root)
    if not os.path.isdir(path):
        raise AgentError(Code.NOT_FOUND, "no such root folder: %s" % path)
    return Agent(root_folder.prepare(path), "")


def recover_now(root):
    """The program `guard`: after a boot, end the trials of the one before. Returns the exit code."""
    from edgewright_agent import reboot

    try:
        agent = local(root)
        recovered = restore(agent)
        reboot.mark(agent.files)
        sys.stdout.write(json.dumps({"recovered": recovered}) + "\n")
    except AgentError as error:
        sys.stderr.write("%s\nhint: %s\n" % (error.message, error.hint))
        return 1
    return 0


def show_status(root):
    """The program `status`. Returns the exit code."""
    from edgewright_agent import status

    try:
        sys.stdout.write(json.dumps(status.status(local(root)), indent=1, sort_keys=True) + "\n")
    except AgentError as error:
        sys.stderr.write("%s\nhint: %s\n" % (error.message, error.hint))
        return 1
    return 0
