"""The programs of the .pyz that no host speaks to: `guard`, which cron or systemd runs after a boot, and `status`."""

import json
import os
import sys

from edgewright_agent import deadline, reboot, shapes, status
from edgewright_agent import root as roots
from edgewright_agent.agent import Agent
from edgewright_agent.protocol import AgentError


def local(root: "str") -> "shapes.Agent":
    """An Agent for a program started by hand or by cron, on a root folder that is there."""
    path = os.path.expanduser(root)
    if not os.path.isdir(path):
        raise AgentError("not-found", "no such root folder: %s" % path)
    return Agent(roots.prepare(path), "")


def recover_now(root: "str") -> "int":
    """The program `guard`: after a boot, end the trials of the one before. Returns the exit code."""
    try:
        agent = local(root)
        recovered = deadline.restore(agent)
        reboot.mark(agent.files)
        sys.stdout.write(json.dumps({"recovered": recovered}) + "\n")
    except AgentError as error:
        sys.stderr.write("%s\nhint: %s\n" % (error.message, error.hint))
        return 1
    return 0


def show_status(root: "str") -> "int":
    """The program `status`. Returns the exit code."""
    try:
        sys.stdout.write(json.dumps(status.status(local(root)), indent=1, sort_keys=True) + "\n")
    except AgentError as error:
        sys.stderr.write("%s\nhint: %s\n" % (error.message, error.hint))
        return 1
    return 0
