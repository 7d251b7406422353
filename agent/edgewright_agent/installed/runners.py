"""Runners: the code that runs a target's models. The host sends it by content; a release records its runner.

A runner is JSON, {name of a source: its text}. Its bytes are read once and hashed; the same bytes run, from memory.
"""

import hashlib
import importlib
import io
import json
import os
import sys
import zipfile

from edgewright_agent import shapes
from edgewright_agent.loader import MemoryImporter
from edgewright_agent.protocol import MAX_RUNNER, RUNNERS, AgentError, Code, loads
from edgewright_agent.storage.integrity import opened

FOLDER = "runners"
PACKAGE = "edgewright_targets"


def name(sha256: "str") -> "str":
    """The relative path of a runner's file."""
    return "%s/%s.json" % (FOLDER, sha256)


def inside(pyz: "bytes") -> "dict[str, bytes]":
    """{target: bytes} of the runners that an administrator put into an agent's .pyz, given as bytes."""
    with zipfile.ZipFile(io.BytesIO(pyz)) as archive:
        found = archive.read(RUNNERS) if RUNNERS in archive.namelist() else b"{}"
    return {target: text.encode("ascii") for target, text in json.loads(found.decode("ascii")).items()}


def load(sources: "dict[str, str]", target: "str") -> "shapes.Runner":
    """Import the module of a runner from memory; modules of a runner imported earlier are dropped."""
    for known in [known for known in sys.modules if known.split(".")[0] == PACKAGE]:
        del sys.modules[known]
    others = [one for one in sys.meta_path if getattr(one, "package", None) != PACKAGE]
    sys.meta_path[:] = [MemoryImporter(sources, PACKAGE)] + others
    return importlib.import_module("%s.%s.runner" % (PACKAGE, target))


class Runners(object):
    """The runners under `runners/`; if an administrator installed the agent, only those in its .pyz.

    Args:
        agent: Agent.
        installed: {target: bytes} of the administrator's runners; None if the host sends them.
    """

    def __init__(self, agent: "shapes.Agent", installed: "dict[str, bytes] | None" = None) -> "None":
        self.agent = agent
        self.forced = installed is not None
        rows = [
            (target, hashlib.sha256(data).hexdigest(), data) for target, data in (installed or {}).items()
        ]
        self.of_target = {target: sha256 for target, sha256, _ in rows}
        self.own = {sha256: data for _, sha256, data in rows}

    def read(self, sha256: "str") -> "bytes | None":
        """Read a runner that may run here; None if it is absent, or its hash does not match its name."""
        if self.forced:
            return self.own.get(sha256)
        try:
            with self.agent.files.open(name(sha256)) as file:
                data = file.read(MAX_RUNNER + 1)
        except (AgentError, OSError):
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def listing(self) -> "list[str]":
        """The sha256s of the stored runners; none of them is pruned during this session."""
        if self.forced:
            return sorted(self.own)
        if not self.agent.uses.hold(FOLDER):
            return []
        try:
            found = [file.split(".")[0] for file in os.listdir(self.agent.files.path(FOLDER))]
        except OSError:  # no folder: the error is raised when a runner is needed
            found = []
        return sorted(sha256 for sha256 in found if self.read(sha256))

    def of(self, about: "shapes.Release") -> "str":
        """The sha256 of the runner that a release uses; empty if it is missing or damaged, or none was recorded.

        An administrator's agent replaces any other recorded runner with its own for the target.
        """
        sha256 = str(about.get("runner"))
        if self.forced and sha256 not in self.own:
            sha256 = self.of_target.get(about["target"], "")
        return sha256 if self.read(sha256) else ""

    def choose(self, target: "str", sha256: "str | None") -> "str | None":
        """The sha256 of the runner for a target: the given one, else the administrator's, else None.

        Raises:
            AgentError: `runner-refused`, `runner-missing`, or `bad-argument` for a runner of another target.
        """
        if self.forced and sha256 is None:
            sha256 = self.of_target.get(target, "")
        if sha256 is not None:
            self.sources(target, sha256)
        return sha256

    def sources(self, target: "str", sha256: "str") -> "dict[str, str]":
        """{name: text} of a runner. Raises the same errors as `choose`."""
        data = self.read(sha256)
        if data is None:
            raise self.lacking(target, sha256)
        found = parsed(data)
        if "%s/%s/runner.py" % (PACKAGE, target) not in found:
            raise AgentError(Code.BAD_ARGUMENT, "the runner is not for %s: %s" % (target, sha256))
        return found

    def lacking(self, target: "str", sha256: "str") -> "AgentError":
        """The AgentError for a missing runner."""
        if not self.forced:
            return AgentError(Code.RUNNER_MISSING, "no runner for %s is on this board" % target)
        which = (
            "no runner for %s" % target if target not in self.of_target else "another runner than " + sha256
        )
        return AgentError(
            Code.RUNNER_REFUSED,
            "the administrator of this board installed %s" % which,
        )

    def keep(self, target: "str", sha256: "str") -> "None":
        """Store an uploaded runner.

        Raises:
            AgentError: `runner-refused`, `bad-argument`, `not-found`; `busy` while another session prunes.
        """
        if not self.forced and not self.agent.uses.hold(FOLDER):
            raise AgentError(Code.BUSY, "another session prunes this board")
        if not self.forced and not self.read(sha256):
            self.take(sha256)
        self.agent.incoming.drop([] if self.forced else [sha256])
        self.sources(target, sha256)

    def take(self, sha256: "str") -> "None":
        """Move a runner from the uploads to its place, replacing a damaged one."""
        with opened(self.agent.incoming.find(sha256)) as file:
            data = file.read(MAX_RUNNER + 1)
        if len(data) > MAX_RUNNER:
            raise AgentError(Code.BAD_ARGUMENT, "a runner is too large: more than %d bytes" % MAX_RUNNER)
        parsed(data)
        self.agent.files.remove_tree(name(sha256))
        self.agent.files.write(name(sha256), data)


def parsed(data: "bytes") -> "dict[str, str]":
    """Parse the bytes of a runner: {name: text}. Raises `bad-argument`."""
    try:
        found = loads(data.decode("ascii"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise AgentError(Code.BAD_ARGUMENT, "not a runner")
    return found
