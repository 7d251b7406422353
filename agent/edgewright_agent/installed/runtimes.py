"""Provisioned runtimes: wheels unpacked into a separate folder; no pip, no venv."""

import hashlib
import json
import os
import re
import struct
import zipfile
import zlib

from edgewright_agent import shapes
from edgewright_agent.board import system
from edgewright_agent.installed import bytecode
from edgewright_agent.installed.releases import Releases
from edgewright_agent.protocol import MAX_FILES, PIECE, AgentError, Code, loads, runtime_id
from edgewright_agent.storage import incoming, integrity

ABOUT = "RUNTIME.json"
DAMAGED = "DAMAGED"  # an empty file in a runtime's folder: hosts no longer see the runtime, so they provision it again
NOT_A_WHEEL = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    zlib.error,
    struct.error,
)
MAX_BYTES = 4 * 1024**3  # of one unpacked runtime
MAX_ABOUT = 64 * 1024 * 1024
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,63}\Z")


def damaged(what: "str", ref: "str", target: "str") -> "AgentError":
    """The AgentError for a runtime whose files have changed since they were unpacked."""
    return AgentError(Code.RUNTIME_DAMAGED, "the runtime is damaged, %s: %s" % (what, ref), target=target)


def shaped(about: "shapes.Unchecked") -> "bool":
    """Whether the description of a runtime has the right shape."""
    try:
        rows, wheels = about["files"].values(), about.get("wheels", {}).values()
        return (
            about["schema"] == 1
            and all(isinstance(about[key], str) for key in ("ref", "name", "target", "version"))
            and all(isinstance(sha256, str) and size >= 0 for sha256, size in rows)
            and all(one["size"] >= 0 and set(one["files"]) <= set(about["files"]) for one in wheels)
            and about["bytes"] >= 0
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def destination(name: "str") -> "str | None":
    """Where a wheel's member goes, relative to the runtime's folder; None if a runtime does not need it.

    Raises:
        AgentError: `bad-argument`, if the path leads out of the folder.
    """
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise AgentError(Code.BAD_ARGUMENT, "a wheel holds an unsafe path: %r" % name[:200])
    if len(name) > 500 or any(len(part.encode("utf-8", "replace")) > 250 for part in parts):
        raise AgentError(Code.BAD_ARGUMENT, "a wheel holds too long a path: %r" % name[:80])
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else None
    return None if name in (ABOUT, DAMAGED) else name


def size_of(path: "str") -> "int":
    """Size of a file in bytes; -1 if there is none."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def members(archive: "zipfile.ZipFile") -> "list[tuple[zipfile.ZipInfo, str]]":
    """[(ZipInfo, destination)] of the files to unpack from a wheel."""
    rows = [
        (info, destination(info.filename)) for info in archive.infolist() if not info.filename.endswith("/")
    ]
    return [(info, to) for info, to in rows if to is not None]


class Runtimes(object):
    """The runtimes under `runtimes/`.

    Args:
        agent: Agent.
    """

    def __init__(self, agent: "shapes.Agent") -> "None":
        self.agent = agent
        self.uses = agent.uses
        self.files = agent.files
        self.checked = agent.checked
        self.uploads = agent.incoming
        self.known: "dict[str, tuple[tuple[int, int, int], shapes.RuntimeAbout]]" = {}  # folder: (identity of its RUNTIME.json, its content)

    def provision(
        self,
        name: "str",
        target: "str",
        version: "str",
        wheels: "list[shapes.Wheel]",
        runner: "str | None" = None,
    ) -> "shapes.Result":
        """Unpack uploaded wheels, for the target's runner (sha256). Returns `{"ref", "path", "bytes"}`.

        Raises:
            AgentError: `not-found`, `runner-missing`, `runner-refused`, `hash-mismatch`, `bad-argument` for a bad wheel, `disk-full`.
        """
        runner = self.agent.runners.choose(target, runner)
        ref = runtime_id([wheel["sha256"] for wheel in wheels])
        folder = "runtimes/%s-%s-%s" % (name, version, ref[:8])
        about = self.whole(folder, ref)
        if about is None:
            fresh: "shapes.RuntimeAbout" = {
                "schema": 1,
                "ref": ref,
                "name": name,
                "target": target,
                "version": version,
                "files": {},
                "wheels": {},
                "bytes": 0,
            }
            about = self.make(folder, fresh, wheels, runner)
        else:
            self.uploads.drop(wheel["sha256"] for wheel in wheels)
        return {"ref": ref, "path": self.files.path(folder), "bytes": about["bytes"]}

    def whole(self, folder: "str", ref: "str") -> "shapes.RuntimeAbout | None":
        """The description of an existing runtime, marked as in use and its files verified; else None."""
        about = self.about(folder)
        if about is None or about["ref"] != ref or not self.uses.hold(folder) or self.fault(folder, about):
            return None
        self.note_damage(folder, False)
        return about

    def make(
        self, folder: "str", about: "shapes.RuntimeAbout", wheels: "list[shapes.Wheel]", runner: "str | None"
    ) -> "shapes.RuntimeAbout":
        """Unpack wheels and put them in place, unless another session was faster. Returns `about`, filled in, or the
        other session's."""
        stage = "incoming/stage-" + self.files.session
        sources = [self.source(wheel) for wheel in wheels]
        self.files.remove_tree(stage)
        self.files.make_folder(stage)
        try:
            contents, origins = self.unpack(sources, stage)
            if runner:
                self.compile(contents, stage, about["target"], runner)
            about["files"], about["wheels"] = contents, origins
            about["bytes"] = sum(size for _, size in contents.values())
            self.files.write(stage + "/" + ABOUT, json.dumps(about, sort_keys=True).encode("ascii"))
            self.files.seal(stage)
            self.whole(folder, about["ref"])  # hash before taking the lock, for a fast check under it
            with self.agent.store.locked():
                quicker = self.whole(folder, about["ref"])
                if not quicker:
                    self.uses.drop(folder)
                    Releases(self.agent).trash(folder)
                    self.files.rename(stage, folder)
                    self.uses.hold(folder)
        except (AgentError, OSError) as error:  # a faster session removes the wheels
            quicker = self.whole(folder, about["ref"]) if isinstance(error, FileNotFoundError) else None
            if not quicker:
                self.files.remove_tree(stage)
                raise
        self.files.remove_tree(stage)
        Releases(self.agent).empty_trash()
        self.uploads.drop(wheel["sha256"] for wheel in wheels)
        return quicker or about

    def compile(
        self, contents: "dict[str, shapes.FileRow]", stage: "str", target: "str", runner: "str"
    ) -> "None":
        """Add bytecode to the unpacked files, if there is room for it."""
        sources = self.agent.runners.sources(target, runner)
        made = bytecode.keep(self.files, stage, target, self.agent.sha256, sources)
        try:
            incoming.room(self.files, 0)
        except AgentError:
            for path in set(made) - set(contents):
                del made[path]
                self.files.remove_file(stage + "/" + path)
        contents.update(made)

    def source(self, wheel: "shapes.Wheel") -> "shapes.WheelSource":
        """Where a wheel's files come from: (its row, the path of the upload or a runtime that has them)."""
        try:
            return wheel, self.uploads.find(wheel["sha256"], wheel["size"])
        except AgentError as error:
            donor = self.donor(wheel["sha256"], wheel["size"])
            if error.code != Code.NOT_FOUND or donor is None:
                raise
            return wheel, donor

    def donor(self, sha256: "str", size: "int") -> "shapes.Donor | None":
        """(folder, [path, sha256, size] of each file) of a runtime that contains a wheel, with the files verified."""
        for folder, about in self.folders():
            origin = about.get("wheels", {}).get(sha256)
            if not origin or origin["size"] != size:
                continue
            rows = [(path, about["files"][path][0], about["files"][path][1]) for path in origin["files"]]
            if all(
                self.checked.matches(self.files.path(folder + "/" + path), sha, n) for path, sha, n in rows
            ):
                return folder, rows
        return None

    def holds(self, sha256: "str", size: "int") -> "bool":
        """Whether the board already has a wheel, in a runtime."""
        return self.donor(sha256, size) is not None

    def unpack(
        self, sources: "list[shapes.WheelSource]", stage: "str"
    ) -> "tuple[dict[str, shapes.FileRow], dict[str, shapes.Origin]]":
        """Unpack wheels into a folder.

        Returns:
            {path: [sha256, size]}, and {wheel's sha256: {"size", "files": [path]}} of the wheels none of whose
                files was overwritten by another wheel.
        """
        contents: "dict[str, shapes.FileRow]" = {}
        origins: "dict[str, shapes.Origin]" = {}
        for wheel, origin in sources:
            found = (
                self.open_wheel(origin, stage, contents)
                if isinstance(origin, str)
                else self.borrow(origin, stage)
            )
            for other in [one for one in origins if set(origins[one]["files"]) & set(found)]:
                del origins[other]
            contents.update(found)
            origins[wheel["sha256"]] = {"size": wheel["size"], "files": sorted(found)}
        return contents, origins

    def borrow(self, donor: "shapes.Donor", stage: "str") -> "dict[str, shapes.FileRow]":
        """Link files of another runtime. Returns {path: [sha256, size]}."""
        folder, rows = donor
        incoming.room(self.files, 0, len(rows))
        for path, _, _ in rows:
            self.files.make_folder(os.path.dirname(stage + "/" + path))
            self.files.remove_file(stage + "/" + path)
            self.files.link(folder + "/" + path, stage + "/" + path)
        return {path: (sha256, size) for path, sha256, size in rows}

    def open_wheel(
        self, path: "str", stage: "str", before: "dict[str, shapes.FileRow]"
    ) -> "dict[str, shapes.FileRow]":
        """Unpack one wheel; `before` has the files unpacked so far. Returns {path: [sha256, size]}."""
        try:
            with zipfile.ZipFile(path) as archive:
                rows = members(archive)
                size = sum(info.file_size for info, _ in rows)
                total = size + sum(entry[1] for entry in before.values())
                if total > MAX_BYTES or len(rows) + len(before) > MAX_FILES:
                    raise AgentError(Code.BAD_ARGUMENT, "a runtime is too large: %d bytes" % total)
                incoming.room(self.files, size, len(rows))
                return {to: self.extract(archive, info, stage + "/" + to) for info, to in rows}
        except NOT_A_WHEEL as error:
            raise AgentError(Code.BAD_ARGUMENT, "not a wheel: %s" % error)

    def extract(self, archive: "zipfile.ZipFile", info: "zipfile.ZipInfo", to: "str") -> "shapes.FileRow":
        """Unpack one member, at most its declared size. Returns [sha256, size]."""
        self.files.make_folder(os.path.dirname(to))
        digest, left = hashlib.sha256(), info.file_size
        with archive.open(info) as packed, self.files.writer(to, durable=False) as write:
            while left:
                piece = packed.read(min(PIECE, left))
                if not piece:
                    break
                left -= len(piece)
                digest.update(piece)
                write(piece)
            if left or packed.read(1):
                raise AgentError(
                    Code.BAD_ARGUMENT, "a wheel's member does not have its size: %r" % info.filename[:200]
                )
        return digest.hexdigest(), info.file_size

    def about(self, folder: "str") -> "shapes.RuntimeAbout | None":
        """The description of the runtime in a folder, or None. Cached while its file is unchanged."""
        try:
            with integrity.opened(os.path.join(self.files.path(folder), ABOUT)) as file:
                there = os.fstat(file.fileno())
                key = there.st_ino, there.st_size, there.st_mtime_ns
                if self.known.get(folder, (None,))[0] != key:
                    self.known[folder] = key, loads(file.read(MAX_ABOUT).decode("ascii"))
        except (OSError, ValueError):
            return None
        about = self.known[folder][1]
        return about if shaped(about) else None

    def folders(self) -> "list[tuple[str, shapes.RuntimeAbout]]":
        """[(relative folder, about)] of the existing runtimes."""
        try:
            names = sorted(os.listdir(self.files.path("runtimes")))
        except OSError:  # code that needs a runtime reports it
            names = []
        rows = [("runtimes/" + name, self.about("runtimes/" + name)) for name in names]
        return [(folder, about) for folder, about in rows if about is not None]

    def listing(self) -> "list[shapes.RuntimeFact]":
        """The runtimes as the facts name them: only those with all their files and no known damage."""
        return [
            self.fact(about)
            for folder, about in self.folders()
            if not self.gaps(folder, about) and self.uses.hold(folder)  # the host may use it next
        ]

    def fact(self, about: "shapes.RuntimeAbout") -> "shapes.RuntimeFact":
        """A runtime as the facts name it."""
        return {
            "ref": about["ref"],
            "name": about["name"],
            "target": about["target"],
            "version": about["version"],
            "system": False,
        }

    def gaps(self, folder: "str", about: "shapes.RuntimeAbout") -> "list[str]":
        """The files of a runtime that are absent or have the wrong size, or its mark of known damage; does not read
        the files."""
        base = self.files.path(folder)
        known = [DAMAGED] if os.path.lexists(os.path.join(base, DAMAGED)) else []
        return known + [
            path for path, (_, size) in about["files"].items() if size_of(os.path.join(base, path)) != size
        ]

    def note_damage(self, folder: "str", damaged_now: "bool") -> "None":
        """Record whether a runtime is damaged; ignore a failure to write that."""
        marker = folder + "/" + DAMAGED
        if damaged_now == os.path.lexists(self.files.path(marker)):
            return
        try:
            if damaged_now:
                self.files.write(marker, b"")
            else:
                self.files.remove_file(marker)
        except AgentError:
            pass

    def fault(self, folder: "str", about: "shapes.RuntimeAbout") -> "str":
        """The path of the first wrong file of a runtime, or empty."""
        base = self.files.path(folder)
        there = integrity.listed(self.files.root, folder)
        odd = there.symmetric_difference(set(about["files"]) | {ABOUT}) - {DAMAGED}
        if odd:
            return sorted(odd)[0]
        for path, (sha256, size) in sorted(about["files"].items()):
            if not self.checked.matches(os.path.join(base, path), sha256, size):
                return path
        return ""

    def find(self, ref: "str", target: "str" = "") -> "shapes.Runtime":
        """The runtime of a job: `{"ref", "name", "target", "version", "path", "system"}`, its files verified.

        Raises:
            AgentError: `runtime-missing`, `runtime-damaged`.
        """
        if ref.startswith("system:"):
            return system.runtime(ref)
        for folder, about in self.folders():
            if about["ref"] == ref and self.uses.hold(folder):
                fault = self.fault(folder, about)
                self.note_damage(folder, bool(fault))
                if fault:
                    raise damaged(fault, "%s %s" % (about["name"], about["version"]), about["target"])
                return {**self.fact(about), "path": self.files.path(folder)}
        raise AgentError(Code.RUNTIME_MISSING, "the runtime is not on this board: %s" % ref, target=target)
