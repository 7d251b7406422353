"""Finds files that the board already has: an unchanged file of a new release is copied, not sent again."""

import os

from edgewright_agent import shapes
from edgewright_agent.installed import manifest, releases
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import MAX_MANIFEST, AgentError
from edgewright_agent.storage import incoming, integrity


class Blobs(object):
    """The files of installed releases and hooks, by their hash.

    They are copied, not linked: damage to one release's file must not damage the release to roll back to.

    Args:
        agent: Agent.
    """

    def __init__(self, agent: "shapes.Agent") -> "None":
        self.agent = agent
        self.files = agent.files
        self.index: "dict[tuple[str, int], str]" = {}
        self.of: "dict[tuple[str, str], str]" = {}

    def installed(self) -> "dict[tuple[str, str], str]":
        """{(model, release): artifact} of the installed releases."""
        models = self.agent.store.read()["models"]
        return {
            (model, release): about["artifact"]
            for model, record in models.items()
            for release, about in record["releases"].items()
        }

    def look(self) -> "None":
        """Read the manifests again if the installed releases have changed."""
        found = self.installed()
        if found == self.of:
            return
        self.index, self.of = {}, found
        for (model, release), artifact in sorted(found.items()):
            folder = releases.folder(model, release)
            try:
                with integrity.opened(self.files.path(folder + "/" + manifest.NAME)) as file:
                    data = file.read(MAX_MANIFEST + 1)
                entries = manifest.parse(data, artifact)["files"]
            except (OSError, AgentError):
                continue
            self.index[artifact, len(data)] = folder + "/" + manifest.NAME
            for entry in entries:
                self.index[entry["sha256"], entry["size"]] = folder + "/" + entry["path"]

    def find(self, sha256: "str", size: "int") -> "str | None":
        """The relative path of a file that should have this hash and size, or None."""
        hook = hooks.name(sha256)
        if os.path.isfile(self.files.path(hook)):
            return hook
        self.look()
        return self.index.get((sha256, size))

    def fetch(self, sha256: "str", size: "int") -> "bool":
        """Copy a file to the uploads, if the board has it. Returns whether it is there, verified."""
        relative, uploads = self.find(sha256, size), self.agent.incoming
        if relative is None:
            return False
        try:
            incoming.room(self.files, size, 2)
            whole = self.files.copy(relative, uploads.name(sha256), size) == sha256
        except (AgentError, OSError):  # no room, or just removed: an upload will report it
            return False
        if not whole:
            uploads.drop([sha256])
            self.files.note("a file is damaged, its upload is asked for: %s" % relative)
            return False
        uploads.accept(sha256)
        return True
