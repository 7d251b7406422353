"""Marks files and folders of the state folder as in use, so that another process does not prune them.

A mark is a shared `flock` on the file or folder itself: it ends with the process, however that ends, so that no
register is needed. A prune takes the exclusive lock, renames, and only then deletes.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 256  # marks per process; the oldest are dropped first, so that descriptors do not run out

_marks: OrderedDict[tuple[int, int], int] = OrderedDict()  # (device, inode) -> descriptor
_lock = threading.Lock()


def hold(path: Path) -> bool:
    """Marks `path` as in use until this process ends, and sets its modification time to now.

    Waits while another process holds the exclusive lock, which takes as long as a rename.

    Returns:
        Whether the path exists: False if it never did, or was pruned meanwhile.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:  # a file system without locks: nothing is pruned there either
        os.close(descriptor)
        return path.exists()
    if not _same(path, descriptor):
        os.close(descriptor)
        return False
    try:
        os.utime(descriptor)
    except OSError:  # a read-only home
        pass
    _keep(descriptor)
    return True


@contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Yields whether `path` is unused; if so, nothing else can start to use it until the block ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield _same(path, descriptor)
    finally:
        os.close(descriptor)


def gone(path: Path) -> bool:
    """Whether `path` was removed. Waits for the exclusive lock of another process, as `hold` does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return not path.exists()
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _same(path: Path, descriptor: int) -> bool:
    """Whether the path still leads to the opened file or folder."""
    try:
        now = path.stat()
    except OSError:
        return False
    opened = os.fstat(descriptor)
    return (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino)


def _keep(descriptor: int) -> None:
    found = os.fstat(descriptor)
    with _lock:
        before = _marks.pop((found.st_dev, found.st_ino), None)
        _marks[found.st_dev, found.st_ino] = descriptor
        stale = [] if before is None else [before]
        while len(_marks) > MOST:
            stale.append(_marks.popitem(last=False)[1])
    for old in stale:
        os.close(old)
