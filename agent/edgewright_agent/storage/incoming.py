"""Uploads: `incoming/<sha256>` when complete and verified, `<sha256>.part` before."""

import hashlib
import os
import time

from edgewright_agent import shapes
from edgewright_agent.protocol import MAX_FILE, SILENCE_SECONDS, SPARE_BYTES, SPARE_INODES, AgentError, Code
from edgewright_agent.storage import integrity
from edgewright_agent.storage.usage_marks import alone

FOLDER = "incoming"
WAIT_SECONDS = SILENCE_SECONDS + 5  # for another session's stalled upload of the same bytes


def room(files: "shapes.Files", needed: "int", inodes: "int" = 1) -> "None":
    """Raise AgentError `disk-full` unless the needed bytes and inodes fit, with some to spare."""
    about = os.statvfs(files.root)
    free = about.f_bavail * about.f_frsize
    if free < needed + SPARE_BYTES:
        raise AgentError(
            Code.DISK_FULL,
            "not enough space: %d bytes needed, %d free" % (needed + SPARE_BYTES, free),
        )
    if about.f_files and about.f_favail < inodes + SPARE_INODES:
        raise AgentError(
            Code.DISK_FULL,
            "not enough inodes: %d needed, %d free" % (inodes + SPARE_INODES, about.f_favail),
            cause="inodes",
        )


class Incoming(object):
    """Uploads of this root folder.

    Args:
        files: Files. checked: Integrity.
    """

    def __init__(self, files: "shapes.Files", checked: "shapes.Integrity") -> "None":
        self.files = files
        self.checked = checked

    def name(self, sha256: "str") -> "str":
        """The relative path of a complete file."""
        return "%s/%s" % (FOLDER, sha256)

    def find(self, sha256: "str", size: "int | None" = None) -> "str":
        """The absolute path of a complete file, verified. Raises AgentError `not-found`."""
        path = self.files.path(self.name(sha256))
        try:
            there = os.lstat(path).st_size
        except FileNotFoundError:
            raise AgentError(Code.NOT_FOUND, "no such file was put: %s" % sha256)
        if size not in (None, there) or there > MAX_FILE or not self.checked.matches(path, sha256, there):
            self.files.remove_file(self.name(sha256))
            raise AgentError(Code.HASH_MISMATCH, "an uploaded file is damaged, it was dropped: %s" % sha256)
        return path

    def part(self, sha256: "str", size: "int") -> "shapes.Upload":
        """How much of a file is uploaded: `{"complete", "offset", "prefix_sha256"}`.

        Waits for a session whose link broke: until it notices, it may still write bytes that were in transit.
        """
        self._wait(self.files.path(self.name(sha256) + ".part"))
        try:
            self.find(sha256, size)
            return {"complete": True, "offset": size, "prefix_sha256": sha256}
        except AgentError:
            pass
        path = self.files.path(self.name(sha256) + ".part")
        offset = os.path.getsize(path) if os.path.isfile(path) else 0
        if offset > size:
            self.files.remove_file(self.name(sha256) + ".part")
            offset = 0
        prefix = integrity.sha256_of(path, offset) if offset else hashlib.sha256().hexdigest()
        return {"complete": False, "offset": offset, "prefix_sha256": prefix}

    def _wait(self, path: "str") -> "None":
        """Wait until no other session writes a part. Raises AgentError `busy` if the part does not grow for too long."""
        until, size = 0.0, -1
        while os.path.isfile(path):
            try:
                with integrity.opened(path) as file:
                    before, size = size, os.fstat(file.fileno()).st_size
                    return alone(file)
            except FileNotFoundError:
                return
            except AgentError:
                if size != before:
                    until = time.monotonic() + WAIT_SECONDS
                elif time.monotonic() > until:
                    raise
            time.sleep(0.1)

    def put(self, sha256: "str", size: "int", offset: "int", pieces: "shapes.Iterator[bytes]") -> "None":
        """Receive the rest of a file's bytes.

        Args:
            pieces: iterator over the bytes after `offset`, `size - offset` in total.

        Raises:
            AgentError: `hash-mismatch`: the part is removed; `bad-argument`: the part has another
                length; `disk-full`.
        """
        part = self.name(sha256) + ".part"
        room(self.files, size - offset, 2)
        digest = hashlib.sha256()
        if offset:
            self._feed(digest, part, offset)

        def ended() -> "None":
            if digest.hexdigest() != sha256:
                self.files.remove_file(part)
                raise AgentError(
                    Code.HASH_MISMATCH,
                    "the uploaded bytes do not have their hash: %s" % sha256,
                )
            self.files.rename(part, self.name(sha256))
            self.checked.trust(self.files.path(self.name(sha256)), sha256)

        with self.files.appender(part, offset, ended) as write:
            for piece in pieces:
                digest.update(piece)
                write(piece)

    def accept(self, sha256: "str") -> "None":
        """Accept a complete file whose bytes were hashed while they were written."""
        self.checked.trust(self.files.path(self.name(sha256)), sha256)
        self.files.remove_file(self.name(sha256) + ".part")

    def _feed(self, digest: "shapes.Hash", part: "str", offset: "int") -> "None":
        """Hash the bytes that an earlier session wrote."""
        left = offset
        try:
            with integrity.opened(self.files.path(part)) as file:
                while left:
                    piece = file.read(min(1024 * 1024, left))
                    if not piece:
                        break
                    digest.update(piece)
                    left -= len(piece)
        except FileNotFoundError:
            raise AgentError(Code.BAD_ARGUMENT, "there is no such part: %s" % sha_of(part))

    def drop(self, sha256s: "shapes.Iterable[str]") -> "None":
        """Remove complete files that are no longer needed."""
        for sha256 in sha256s:
            self.files.remove_file(self.name(sha256))


def sha_of(part: "str") -> "str":
    """The sha256 in a part's name."""
    return os.path.basename(part).split(".")[0]
