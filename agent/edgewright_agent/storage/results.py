"""Results and logs: files that the host fetches or that people read."""

import contextlib
import hashlib
import os
import re
import sys
import time

from edgewright_agent import clock, shapes
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.storage.failures import failure
from edgewright_agent.storage.files import Files
from edgewright_agent.storage.integrity import opened

LOG = "agent.log"
LOG_BYTES = 256 * 1024  # of one log file; one old one is kept


def printable(line: "str") -> "str":
    """Remove characters that could move a terminal's cursor or hide text from a line."""
    return "".join(char if char.isprintable() else "?" for char in line)


class SessionFiles(Files):
    """Files, with a folder for the results of one session.

    Args:
        root: absolute path of the root folder.
        session: name of the session's folder under `results/`.
    """

    def __init__(self, root: "str", session: "str") -> "None":
        Files.__init__(self, root)
        self.session = session
        self.count = 0
        self.troubles: "dict[str, AgentError]" = {}  # a model's name, or a text with a slash: why recovery could not repair it

    @contextlib.contextmanager
    def confined(self, subject: "str") -> "shapes.Iterator[None]":
        """Note a disk error in the block and continue after the block."""
        try:
            yield
            return
        except OSError as error:
            found = failure(error, error.filename or subject, self.root)
        except AgentError as error:
            if error.code not in (Code.IO, Code.DISK_FULL):
                raise
            found = error
        self.troubles[subject] = found
        self.note("%s: %s" % (subject or "recovery", found.message))

    def result(self, name: "str", content: "bytes | shapes.Fill") -> "shapes.Kept":
        """Write a file for the host to `get`; it is removed when the session ends.

        Args:
            name: a hint for readers.
            content: bytes, or a callable that takes a `write(bytes)` function.

        Returns:
            `{"result": NAME, "sha256": HEX, "size": BYTES}`.
        """
        self.count += 1
        unique = "%d-%s" % (self.count, re.sub(r"[^a-z0-9._-]", "-", name.lower())[:64])
        relative = "results/%s/%s" % (self.session, unique)
        self.make_folder("results/" + self.session)
        digest, size = hashlib.sha256(), [0]
        with self.writer(relative, durable=False) as write:

            def count(data: "bytes") -> "None":
                digest.update(data)
                size[0] += len(data)
                write(data)

            if callable(content):
                content(count)
            else:
                count(content)
        return {"result": unique, "sha256": digest.hexdigest(), "size": size[0]}

    def result_path(self, name: "str") -> "str | None":
        """The absolute path of a result of this session, or None."""
        if not re.match(r"[0-9]+-[a-z0-9._-]+\Z", name):
            return None
        path = self.path("results/%s/%s" % (self.session, name))
        return path if os.path.isfile(path) and not os.path.islink(path) else None

    def end(self) -> "None":
        """Remove this session's results."""
        self.remove_tree("results/" + self.session)

    def note(self, text: "str") -> "None":
        """Write a line to the log, after the wall clock's time (UTC, may be years off) and the seconds since boot.

        Further lines are indented below it. On a full disk they are dropped.
        """
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lines = [printable(line) for line in text.splitlines()] or [""]
        whole = "%s %.1f %s\n" % (stamp, clock.now(), "\n    ".join(lines))
        try:
            self.log(LOG, whole.encode("utf-8", "replace"), LOG_BYTES)
        except AgentError as error:
            sys.stderr.write("edgewright: the log cannot be written: %s\n" % error.message)

    def last_lines(self, lines: "int") -> "bytes":
        """The last lines of the log, as bytes."""
        data = b""
        for name in (LOG + ".old", LOG):
            try:
                with opened(self.path(name)) as file:
                    data += file.read(2 * LOG_BYTES)
            except FileNotFoundError:
                pass
        return b"".join(data.splitlines(True)[-lines:])
