"""Marks folders that a session uses before a release names them, so that another session's `prune` keeps them.

A mark is a shared `flock` on the folder itself: it ends with its session, or with the process, however that ends.
"""

import contextlib
import fcntl
import os
import time

from edgewright_agent import shapes
from edgewright_agent.protocol import AgentError, Code

WAIT_SECONDS = 5.0  # for a prune that measures a folder


def alone(file: "int | shapes.Stream", name: "str | None" = None, folder: "int | None" = None) -> "None":
    """Lock an upload's file while its descriptor is open; with a name, check that the name still belongs to the file.

    Raises:
        AgentError: `busy`: another session is writing the file or has just finished it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if name is None or (
            isinstance(file, int) and os.stat(name, dir_fd=folder).st_ino == os.fstat(file).st_ino
        ):
            return
    except OSError:
        pass
    raise AgentError(Code.BUSY, "another session sends the same file")


class Uses(object):
    """The marks of one session.

    Args:
        files: Files.
    """

    def __init__(self, files: "shapes.Files") -> "None":
        self.files = files
        self.held: "dict[str, int]" = {}  # relative folder: descriptor

    def hold(self, relative: "str") -> "bool":
        """Mark a folder until this session ends. Returns False if it is being removed, or already is."""
        path, limit = self.files.path(relative), time.monotonic() + WAIT_SECONDS
        while time.monotonic() < limit:
            try:
                if relative not in self.held:
                    self.held[relative] = os.open(path, os.O_RDONLY)
                fcntl.flock(self.held[relative], fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
                continue
            except OSError:  # the file system has no locks, or the folder is gone
                pass
            try:
                if os.path.samestat(os.fstat(self.held[relative]), os.stat(path)):
                    return True
            except (KeyError, OSError):
                break
            self.drop(relative)  # rebuilt in the meantime
        self.drop(relative)
        return False

    def drop(self, relative: "str") -> "None":
        """Remove a mark."""
        if relative in self.held:
            os.close(self.held.pop(relative))

    def __del__(self) -> "None":
        for relative in list(self.held):
            self.drop(relative)

    @contextlib.contextmanager
    def taken(self, relative: "str") -> "shapes.Iterator[bool]":
        """Whether no other session uses a folder; if so, none can start to use it until the block ends."""
        own = relative in self.held
        free = self.hold(relative)
        try:
            if free:
                fcntl.flock(self.held[relative], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free = False
        except OSError:
            pass
        try:
            yield free
        finally:
            if not own or not self.hold(relative):
                self.drop(relative)
