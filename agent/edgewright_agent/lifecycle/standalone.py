"""The programs of the .pyz that run without a host: `guard`, which cron or systemd runs after a boot, and `status`."""

import json
import os
import sys

from edgewright_agent import shapes
from edgewright_agent.boot import boot_guard
from edgewright_agent.lifecycle import deadline, status
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.storage import root as roots


def local(root: "str") -> "shapes.Agent":
    """An Agent for a program started by hand or by cron, on an existing root folder."""
    path = os.path.expanduser(root)
    if not os.path.isdir(path):
        raise AgentError(Code.NOT_FOUND, "no such root folder: %s" % path)
    return Agent(roots.prepare(path), "")


def recover_now(root: "str") -> "int":
    """The program `guard`: after a boot, end the trials of the previous boot. Returns the exit code."""
    try:
        agent = local(root)
        recovered = deadline.restore(agent)
        boot_guard.mark(agent.files)
        sys.stdout.write(json.dumps({"recovered": recovered}) + "\n")
    except AgentError as error:
        sys.stderr.write(error.message + "\n")
        return 1
    return 0


def show_status(root: "str") -> "int":
    """The program `status`. Returns the exit code."""
    try:
        sys.stdout.write(json.dumps(status.status(local(root), files=True), indent=1, sort_keys=True) + "\n")
    except AgentError as error:
        sys.stderr.write(error.message + "\n")
        return 1
    return 0
