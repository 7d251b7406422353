"""A lock on a folder, across processes and threads, for reading and changing its files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewright.config import home

_held = threading.local()  # the folders that this thread has locked


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Callable[[], bool]]:
    """Locks a folder against other processes and threads; the lock ends with the process. Re-entrant within one thread.

    Creates a missing folder. Yields a function that returns whether the path still leads to the locked folder.
    """
    home.made(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        about = os.fstat(descriptor)
        mine: set[tuple[int, int]] = _held.__dict__.setdefault("folders", set())
        key = (about.st_dev, about.st_ino)

        def held() -> bool:
            try:
                now = folder.stat()
            except FileNotFoundError:
                return False
            return (now.st_dev, now.st_ino) == key

        if key in mine:
            yield held
            return
        fcntl.flock(
            descriptor, fcntl.LOCK_EX
        )  # each descriptor has its own lock, so threads exclude each other
        mine.add(key)
        try:
            yield held
        finally:
            mine.discard(key)
    finally:
        os.close(descriptor)
