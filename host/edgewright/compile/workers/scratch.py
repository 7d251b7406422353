"""Scratch folders below the system's temporary folder, removed with the process that uses them.

Frameworks leave files wherever TMPDIR says. A folder is locked by its users; what a killed one left is taken away by the
next that makes one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "edgewright-scratch-"
_YOUNG_S = 60.0  # so new that its maker may not have locked it yet


class Scratch:
    """A new folder of this user's.

    Attributes:
        path: the folder.
        lock: the descriptor that holds it. A process that it is handed to keeps the folder when this one ends.
    """

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _locked(self.lock)

    def close(self) -> None:
        """Removes it. Who else uses it has to have ended."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


@contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder for a block."""
    made = Scratch()
    try:
        yield made.path
    finally:
        made.close()


def environment(place: Path) -> dict[str, str]:
    """Variables that send temporary files, and PyTorch's compiled kernels, to `place`."""
    return {
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place)),
        "TORCHINDUCTOR_CACHE_DIR": str(place / "inductor"),
    }


def sweep() -> None:
    """Removes the folders whose users were killed."""
    now = time.time()
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, another user's, or no folder
            continue
        try:
            found = os.fstat(descriptor)
            stale = found.st_uid == os.getuid() and now - found.st_mtime > _YOUNG_S
            if stale and _locked(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Takes the lock. False: another has it, or the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
