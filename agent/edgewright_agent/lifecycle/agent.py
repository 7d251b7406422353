"""The parts of one agent on one root folder; every command uses them."""

import os

from edgewright_agent import clock, shapes
from edgewright_agent.installed.blobs import Blobs
from edgewright_agent.installed.runners import Runners
from edgewright_agent.installed.runtimes import Runtimes
from edgewright_agent.storage.incoming import Incoming
from edgewright_agent.storage.integrity import Integrity
from edgewright_agent.storage.results import SessionFiles
from edgewright_agent.storage.state import Store
from edgewright_agent.storage.usage_marks import Uses


class Agent(object):
    """The parts of one agent.

    Args:
        root: absolute path of the prepared root folder.
        sha256: of the agent's own .pyz, kept at `agent/<sha256>.pyz`.
        files: SessionFiles; by default a new one for this process.
        runners: {target: bytes} of an administrator's runners; None if the host sends them.
    """

    def __init__(
        self,
        root: "str",
        sha256: "str",
        files: "shapes.SessionFiles | None" = None,
        runners: "dict[str, bytes] | None" = None,
    ) -> "None":
        self.sha256 = sha256
        self.data = b""
        self.runtime_names: "tuple[str, ...] | None" = None  # distributions that are runtimes
        self.files = files or SessionFiles(root, "%d-%s" % (os.getpid(), clock.started(os.getpid())))
        self.checked = Integrity()
        self.store = Store(self.files)
        self.incoming = Incoming(self.files, self.checked)
        self.uses = Uses(self.files)
        self.runners = Runners(self, runners)
        self.runtimes = Runtimes(self)
        self.blobs = Blobs(self)

    def keep(self, data: "bytes" = b"") -> "None":
        """Store the agent's own bytes for children, guards and the next session; without bytes, retry a failed attempt."""
        self.data = data or self.data
        name = "agent/%s.pyz" % self.sha256
        path = self.files.path(name)
        if self.data and not self.checked.matches(path, self.sha256, len(self.data)):
            self.files.write(name, self.data)
