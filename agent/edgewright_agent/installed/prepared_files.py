"""Files that a runner prepares for this board, such as an engine: `models/<model>/prepared/<key>/`.

The key identifies the sources and the environment: the artifact, the runtime, and the version, hardware and system
that the runner reports. The files are rebuilt when the key changes or a file is damaged or missing: an upgrade never
breaks a release.
"""

import os
import stat

from edgewright_agent import shapes
from edgewright_agent.installed import runners
from edgewright_agent.installed.manifest import MAX_SLACK, model_bytes, safe_path
from edgewright_agent.processes import children
from edgewright_agent.protocol import SPARE_BYTES, AgentError, Code
from edgewright_agent.storage import state as states
from edgewright_agent.storage.integrity import listed, opened, sha256_of

ABOUT = "PREPARED.json"  # checksummed like the slots of the state
MAX_ABOUT = 1024 * 1024
BUILD_SECONDS = 3300.0  # of silence: for a large engine on a small board; hosts wait an hour


def folder(model: "str") -> "str":
    """The relative folder of all files prepared for a model's releases."""
    return "models/%s/prepared" % model


def wanted(job: "shapes.Job") -> "bool":
    """Whether the job's runner prepares anything. It reports that itself, without importing a runtime."""
    try:
        runner = runners.load(job["runner"], job["target"])
    except Exception:  # the child reports what is wrong with it
        return False
    return hasattr(runner, "prepares") and bool(runner.prepares(job["options"]))


def listing(files: "shapes.Files", model: "str") -> "list[tuple[str, shapes.PreparedAbout | None]]":
    """[(relative folder, about or None)] of a model's prepared folders; None: its description is missing or damaged."""
    try:
        names = sorted(os.listdir(files.path(folder(model))))
    except OSError:
        return []
    return [(folder(model) + "/" + name, read(files, folder(model) + "/" + name)) for name in names]


def read(files: "shapes.Files", relative: "str") -> "shapes.PreparedAbout | None":
    """The description of a prepared folder, or None if it is missing or damaged."""
    try:
        with opened(os.path.join(files.path(relative), ABOUT)) as file:
            about: "shapes.PreparedAbout | None" = states.decode(file.read(MAX_ABOUT))
    except OSError:
        return None
    return about if about and about["schema"] == 1 and isinstance(about.get("files"), dict) else None


def unused(files: "shapes.Files", state: "shapes.State", model: "str") -> "list[str]":
    """Relative folders that no release in the state can use."""
    record = state["models"].get(model)
    parts = [made_of(about) for about in record["releases"].values()] if record else []
    return [
        relative for relative, about in listing(files, model) if about is None or made_of(about) not in parts
    ]


def made_of(about: "shapes.Release | shapes.PreparedAbout") -> "list[str]":
    """[artifact, runtime] of a release, or of its prepared files."""
    return [about["artifact"], about.get("runtime", "")]


class Prepared(object):
    """Builds and stores the files that runners prepare.

    Args:
        agent: Agent. releases: Releases.
    """

    def __init__(self, agent: "shapes.Agent", releases: "shapes.Releases") -> "None":
        self.agent, self.files, self.releases = agent, agent.files, releases
        self.known: "dict[tuple[str, str, str | None], str | None]" = {}  # (model, release, accelerator): the relative folder that this session verified

    def fill(self, job: "shapes.Job", say: "shapes.Say") -> "shapes.Job":
        """Return the job with `prepared` in its options set to a folder with verified files, or to None if its
        runner prepares nothing. Builds missing files.

        Raises:
            AgentError: `load-failed`, `disk-full`, `child-crashed`, `timeout`: they cannot be built.
        """
        if not wanted(job):
            return job
        name = job["model"], job["release"], job["options"].get("accelerator")
        relative = self.known.get(name, "")
        if relative is not None and not (relative and self.whole(relative, read(self.files, relative))):
            relative = self.known[name] = self.ensure(job, say)
        path = self.files.path(relative) if relative else None
        return {**job, "options": {**job["options"], "prepared": path}}

    def whole(self, relative: "str", about: "shapes.PreparedAbout | None") -> "bool":
        """Whether all prepared files are there, unchanged, and no others."""
        if about is None:
            return False
        base = self.files.path(relative)
        return listed(self.files.root, relative) == set(about["files"]) | {ABOUT} and all(
            self.agent.checked.matches(os.path.join(base, path), sha256, size)
            for path, (sha256, size) in about["files"].items()
        )

    def ensure(self, job: "shapes.Job", say: "shapes.Say") -> "str | None":
        """The relative folder for a job in the board's current state, built if needed; None if there is nothing to prepare."""
        parts = self.made_of(job)
        good = {
            os.path.basename(relative)
            for relative, about in listing(self.files, job["model"])
            if about is not None and made_of(about) == parts and self.whole(relative, about)
        }
        with children.Scratch(self.files) as scratch:
            request = {
                "do": "prepare",
                "out": scratch.path("prepared"),
                "made_of": parts,
                "have": sorted(good),
                "room": self.room(job),
            }
            answer: "shapes.PrepareAnswer" = children.run(job, request, say, idle_s=BUILD_SECONDS)
            if answer["key"] is None:
                return None
            if answer["made"]:
                self.place(job, answer, scratch.relative("prepared"))
        return "%s/%s" % (folder(job["model"]), answer["key"])

    def made_of(self, job: "shapes.Job") -> "list[str]":
        """[the artifact's sha256, the runtime's name], from the state."""
        return made_of(states.known_release(self.agent.store.read(), job["model"], job["release"]))

    def room(self, job: "shapes.Job") -> "int":
        """Bytes that must be free before a build: at least the model's size."""
        return model_bytes(job["manifest"]) + MAX_SLACK + SPARE_BYTES

    def place(self, job: "shapes.Job", answer: "shapes.PrepareAnswer", scratch: "str") -> "None":
        """Move the files that a child built to their final place, atomically and durably, and remove those they replace.

        Files that another runtime or runner built from the same artifact stay: a current release may use them.
        """
        artifact, runtime = self.made_of(job)
        about: "shapes.PreparedAbout" = {
            "schema": 1,
            "sequence": 0,
            "artifact": artifact,
            "runtime": runtime,
            "environment": answer["environment"],
            "accelerator": answer["accelerator"],
            "files": self.contents(scratch),
        }
        self.files.write(scratch + "/" + ABOUT, states.encode(about))
        self.files.share(scratch)
        self.files.seal(scratch)
        relative = "%s/%s" % (folder(job["model"]), answer["key"])
        with self.agent.store.locked() as state:
            states.known_release(state, job["model"], job["release"])  # raises if it has been removed
            releases = state["models"][job["model"]]["releases"].values()
            runners = {one.get("runner") for one in releases if made_of(one) == [artifact, runtime]}
            if self.whole(relative, read(self.files, relative)):
                return  # another session was faster, and may be loading it
            self.files.make_folder(folder(job["model"]))
            self.releases.trash(relative)
            self.files.rename(scratch, relative)
            for other, its in listing(self.files, job["model"]):
                if its is None or (
                    len(runners) < 2
                    and made_of(its) == [artifact, runtime]
                    and its.get("accelerator") == about["accelerator"]
                    and other != relative
                ):
                    self.releases.trash(other)
        self.releases.empty_trash()
        self.files.note("%s %s: prepared for this board: %s" % (job["model"], job["release"], answer["key"]))

    def contents(self, relative: "str") -> "dict[str, shapes.FileRow]":
        """{path: (sha256, size)} of the files that a child built.

        Raises:
            AgentError: `load-failed`, if there are none, or one is not allowed.
        """
        base = self.files.path(relative)
        found: "dict[str, shapes.FileRow]" = {}
        for path in listed(self.files.root, relative):
            full = os.path.join(base, path)
            if not stat.S_ISREG(os.lstat(full).st_mode) or not safe_path(path) or path == ABOUT:
                raise AgentError(Code.LOAD_FAILED, "the runner prepared an unsafe file: %r" % path)
            found[path] = sha256_of(full), os.path.getsize(full)
        if not found:
            raise AgentError(Code.LOAD_FAILED, "the runner prepared nothing")
        return found
