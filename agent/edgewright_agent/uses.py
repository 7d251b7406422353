"""What a session uses though no release names it yet: another session's `prune` leaves it.

A mark is a shared `flock` on the folder itself: it goes with the process, however that ends.
"""

import contextlib
import fcntl
import os


class Uses(object):
    """The marks of one session.

    Args:
        files: Files.
    """

    def __init__(self, files):
        self.files = files
        self.held = {}  # relative folder: descriptor

    def hold(self, relative):
        """Mark a folder until this session ends. Returns False where it goes, or is gone, already."""
        path = self.files.path(relative)
        try:
            if relative not in self.held:
                self.held[relative] = os.open(path, os.O_RDONLY)
            fcntl.flock(self.held[relative], fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):
            self.drop(relative)
            return False
        except OSError:  # a file system without locks
            pass
        try:
            there = os.path.samestat(os.fstat(self.held[relative]), os.stat(path))
        except (KeyError, OSError):
            there = False
        if not there:  # removed, and perhaps made anew, since
            self.drop(relative)
        return there

    def drop(self, relative):
        """Take a mark away."""
        if relative in self.held:
            os.close(self.held.pop(relative))

    @contextlib.contextmanager
    def taken(self, relative):
        """Whether no other session uses a folder; if so none can begin to until the block ends."""
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
