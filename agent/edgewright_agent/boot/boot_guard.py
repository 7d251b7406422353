"""The guard: cron or systemd runs the agent once after a boot, to end a trial that a power failure
interrupted, without any host."""

import json
import re
import sys

from edgewright_agent import clock, shapes
from edgewright_agent.boot import crontab, user_unit
from edgewright_agent.protocol import MAX_LINE, AgentError, Code, loads
from edgewright_agent.storage.integrity import opened
from edgewright_agent.storage.root import board_id

RECORD = "guard.json"  # the installed guard: kind, sha256 of the agent, command
MARK = "guard.mark"  # when the guard ran last
KINDS: "dict[str, shapes.GuardWay]" = {"cron": crontab, "systemd": user_unit}
PLAIN = re.compile(r"/[A-Za-z0-9_./+@:,~=-]*\Z")  # paths that cron, a shell and systemd pass on unchanged
LONG_SECONDS = 600.0  # a trial that may last longer must survive a reboot


def read(files: "shapes.Files", name: "str") -> "shapes.Unchecked":
    """Read a JSON object from the root folder; empty if there is none."""
    try:
        with opened(files.path(name)) as file:
            found = loads(file.read(MAX_LINE).decode("ascii"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def installed(files: "shapes.Files") -> "shapes.GuardRecord | None":
    """The installed guard: `kind`, `sha256` of the agent, `command`; None if there is none."""
    found: "shapes.GuardRecord" = read(files, RECORD)
    return found if set(found) == {"kind", "sha256", "command"} and found["kind"] in KINDS else None


def write(files: "shapes.Files", name: "str", found: "shapes.Record") -> "None":
    """Write a JSON object into the root folder."""
    files.write(name, json.dumps(found, sort_keys=True).encode("ascii") + b"\n")


def agent_of(files: "shapes.Files") -> "str":
    """The sha256 of the agent that the guard runs, or empty."""
    record = installed(files)
    return record["sha256"] if record else ""


def command(agent: "shapes.Agent") -> "list[str]":
    """The guard's command, as a list.

    Raises:
        AgentError: `no-guard`, if a path would have to be quoted.
    """
    pyz = agent.files.path("agent/%s.pyz" % agent.sha256)
    for path in (sys.executable or "", agent.files.root):
        if not PLAIN.match(path):
            raise AgentError(Code.NO_GUARD, "a guard needs plain paths: %r" % path, cause="path")
    return [sys.executable, "-I", "-S", "-B", pyz, "guard", "--root", agent.files.root]


def kind(agent: "shapes.Agent") -> "str":
    """`cron` or `systemd`, if the guard is installed and still in place, else `none`."""
    record = installed(agent.files)
    if not record:
        return "none"
    there = KINDS[record["kind"]].there(agent.files, board_id(agent.files), record["command"])
    return record["kind"] if there else "none"


def ready(agent: "shapes.Agent") -> "str":
    """Replace a guard of an earlier agent, which may not read a newer state. Returns the `kind`."""
    record = installed(agent.files)
    if record and record["sha256"] != agent.sha256 and kind(agent) != "none":
        return install(agent)["guard"]
    return kind(agent)


def mark(files: "shapes.Files") -> "None":
    """Note that the guard ran to its end in this boot."""
    write(files, MARK, {"boot_id": clock.boot_id(), "at": clock.now()})


def tested(agent: "shapes.Agent", way: "shapes.GuardWay", argv: "list[str]") -> "str":
    """Run the installed guard the way it runs at boot. Returns what went wrong, or empty."""
    began = clock.now()
    why = way.test(agent.files, board_id(agent.files), argv)
    ran: "shapes.Stamp" = read(agent.files, MARK)
    if why or (ran.get("boot_id") == clock.boot_id() and ran.get("at", 0.0) >= began):
        return why
    return "the guard left no mark"


def install(agent: "shapes.Agent") -> "shapes.GuardState":
    """Install the guard with the first method that works here, and test it.

    Returns:
        `{"guard": "cron"|"systemd"|"none", "tested": bool, "why": what does not work here}`.
    """
    argv, name, reasons = command(agent), board_id(agent.files), []
    for word, way in sorted(KINDS.items()):
        why = way.install(agent.files, name, argv) or tested(agent, way, argv)
        if not why:
            write(agent.files, RECORD, {"kind": word, "sha256": agent.sha256, "command": argv})
            return {"guard": word, "tested": True, "why": ""}
        reasons.append("%s: %s" % (word, why))
        way.remove(agent.files, name)
    agent.files.remove_file(RECORD)
    return {"guard": "none", "tested": False, "why": "; ".join(reasons)}


def remove(agent: "shapes.Agent") -> "shapes.GuardState":
    """Remove the guard, whichever method installed it. Returns the same as `install`."""
    name = board_id(agent.files)
    reasons = [way.remove(agent.files, name) for way in KINDS.values() if name]
    why = "; ".join(reason for reason in reasons if reason)
    if why:
        return {"guard": kind(agent), "tested": False, "why": why}
    for file in (RECORD, MARK):
        agent.files.remove_file(file)
    return {"guard": "none", "tested": False, "why": ""}


def protect(agent: "shapes.Agent", deadline_s: "float", unguarded: "bool") -> "str":
    """Make sure that a guard can end a trial after a reboot. Returns `cron`, `systemd` or `none`.

    Raises:
        AgentError: `no-guard`, if there is no guard and the trial is a long one.
    """
    found = ready(agent)
    refuse_long(found, deadline_s, unguarded)
    return found


def refuse_long(found: "str", deadline_s: "float", unguarded: "bool") -> "None":
    """Raise AgentError `no-guard` if the trial is a long one and no guard was `found`."""
    if found == "none" and deadline_s > LONG_SECONDS and not unguarded:
        message = "a trial of %d s must survive a reboot, and this board has no guard" % deadline_s
        raise AgentError(Code.NO_GUARD, message, cause="long")
