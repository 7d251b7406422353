"""Starts the watchdog of a trial: the `guard` entry in a separate process."""

import json
import os
import select
import time

from edgewright_agent import shapes
from edgewright_agent.processes import spawn
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.storage.state import SCHEMA

READY_SECONDS = 30.0  # a small board at full load needs most of it to start Python


def start(agent: "shapes.Agent", txn: "str") -> "shapes.Watchdog":
    """Start a detached watchdog for a trial whose intent is durable.

    Returns:
        Its `clock.owner` record, and the schema of the state that it reads.

    Raises:
        AgentError: `no-guard`, if it does not report in time.
    """
    try:
        process = spawn.start("guard", {"txn": txn}, agent.files.root, agent.sha256)
    except (AgentError, OSError) as error:
        raise AgentError(Code.NO_GUARD, "the watchdog did not start: %s" % error)
    line, limit = b"", time.monotonic() + READY_SECONDS
    pipe = spawn.pipe_of(process.stdout).fileno()
    while not line.endswith(b"\n") and select.select([pipe], [], [], max(0.0, limit - time.monotonic()))[0]:
        piece = os.read(pipe, 4096)
        if not piece:
            break
        line += piece
    spawn.finish(process, kill=not line.endswith(b"\n"))
    try:
        said = json.loads(line.decode("ascii"))
        return {
            "pid": said["pid"],
            "started": said["started"],
            "boot_id": said["boot_id"],
            "schema": SCHEMA,
        }
    except (ValueError, KeyError, TypeError):
        raise AgentError(Code.NO_GUARD, "the watchdog did not report")
