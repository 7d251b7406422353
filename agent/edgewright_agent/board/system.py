"""Finds runtimes in the board's own Python that edgewright did not provision."""

import json
import os
import re
import subprocess
import sys

from edgewright_agent import shapes
from edgewright_agent.board import old_hosts
from edgewright_agent.protocol import AgentError, Code

METADATA = re.compile(r"(?P<name>[A-Za-z0-9._-]+?)-(?P<version>[0-9][^-]*)(-.*)?\.(dist|egg)-info\Z")
PROGRAM = "import json, sys; print(json.dumps(sys.path))"
_CACHE: "dict[str, list[str]]" = {}


def import_path(executable: "str | None" = None) -> "list[str]":
    """Folders that this Python imports from when it is not isolated, the user's own included.

    The agent runs without `site`, so it starts a second Python to find out, and caches the answer for the session.
    """
    executable = executable or sys.executable
    if executable not in _CACHE:
        _CACHE[executable] = _ask(executable)
    return _CACHE[executable]


def _ask(executable: "str") -> "list[str]":
    null = subprocess.DEVNULL
    try:
        done = subprocess.run(
            [executable, "-c", PROGRAM], stdin=null, stdout=subprocess.PIPE, stderr=null, timeout=20, cwd="/"
        )
        found: "list[str]" = json.loads(done.stdout.decode("utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return []
    return [path for path in found if path and os.path.isdir(path)]


def distribution(name: "str") -> "tuple[str, str] | None":
    """(normalised distribution, version) from the name of a metadata folder, or None."""
    found = METADATA.match(name)
    if not found:
        return None
    return re.sub(r"[-_.]+", "-", found.group("name")).lower(), found.group("version")


def distributions(path: "list[str] | None" = None) -> "dict[str, str]":
    """{normalised name: version} of the distributions on an import path; the first of each name wins."""
    found: "dict[str, str]" = {}
    for folder in import_path() if path is None else path:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for known in filter(None, map(distribution, names)):
            found.setdefault(*known)
    return found


def runtimes(names: "tuple[str, ...] | None", path: "list[str] | None" = None) -> "list[shapes.RuntimeFact]":
    """The named distributions that are on an import path; the first of each name wins.

    Args:
        names: the distributions that the host knows as runtimes. It also knows their targets, so those are empty here.
            None: the host is too old to name any; the list of `old_hosts` has targets.

    Returns:
        list of dicts as in `edgewright.nouns.facts.RuntimeFact`.
    """
    found = distributions(path)
    return [
        {
            "ref": "system:" + name,
            "name": name,
            "target": old_hosts.target_of(name, found[name]) if names is None else "",
            "version": found[name],
            "system": True,
        }
        for name in sorted(set(old_hosts.TARGETS if names is None else names).intersection(found))
    ]


def runtime(ref: "str") -> "shapes.Runtime":
    """The `runtime` of a job for `system:<distribution>`: ref, name, version, target (empty), system, no path.

    Raises:
        AgentError: `runtime-missing`, if this Python does not have it.
    """
    for known in runtimes((ref[len("system:") :],)):
        found: "shapes.Runtime" = {**known, "path": None}
        return found
    raise AgentError(Code.RUNTIME_MISSING, "the board's Python does not have %s" % ref)
