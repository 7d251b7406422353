"""A temporary folder that only its user can enter, and that the next one removes if its process was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_YOUNG_S = 60.0  # seconds; a folder this new may not have been locked yet


class ScratchFolder:
    """A new folder that belongs to this user.

    Args:
        prefix: of its name; folders with the same prefix whose processes were killed are removed first.
        parent: by default the system's temporary folder.

    Attributes:
        path: the folder.
        lock: the descriptor that locks it. A process that inherits it keeps the folder when this one ends.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        sweep(prefix, parent)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _locked(self.lock)

    def close(self) -> None:
        """Removes the folder. All other users must have ended."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def sweep(prefix: str, parent: Path | None = None) -> None:
    """Removes the folders whose users were killed."""
    now = time.time()
    for path in (parent or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # removed meanwhile, another user's, or not a folder
            continue
        try:
            found = os.fstat(descriptor)
            stale = found.st_uid == os.getuid() and now - found.st_mtime > _YOUNG_S
            if stale and _locked(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Tries to take the lock. Returns False if another process holds it, or if the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
