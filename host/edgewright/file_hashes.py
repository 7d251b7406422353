"""Hashes each file once per process, however many boards it is sent to."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import Future
from io import BufferedReader
from pathlib import Path

from edgewright.files import open_regular

MOST = 4096  # files to remember
SETTLED_NS = 50_000_000  # a file that changed this recently may change again without another time stamp

Key = tuple[int, ...]


class FileHashes:
    """The sha256s of files, by device, inode, size and times. Threads that ask for the same file share one computation.

    Only for what is checked again later, as boards check an upload: a disk may damage a file and keep its times.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Key, Future[str]] = {}

    def of(self, file: BufferedReader, *, again: bool = False) -> tuple[str, int]:
        """Hex sha256 and size of an open regular file.

        Args:
            again: compute it in any case, and remember it.
        """
        about = os.fstat(file.fileno())
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if time.time_ns() - about.st_ctime_ns < SETTLED_NS:
            return hashed(file), about.st_size
        with self._lock:
            found = None if again else self._known.get(key)
            if found is None:
                mine = self._known[key] = Future()
                while len(self._known) > MOST:
                    del self._known[next(iter(self._known))]
        if found is not None:
            return found.result() or hashed(file), about.st_size
        try:
            mine.set_result(hashed(file))
        except BaseException:
            with self._lock:
                self._known.pop(key, None)
            mine.set_result(
                ""
            )  # the error, or the user's stop, is this thread's alone: the others compute it themselves
            raise
        return mine.result(), about.st_size

    def begin(self, path: Path) -> None:
        """Hashes a file in the background, while something else is waited for. Whoever asks later meets its errors."""

        def look() -> None:
            try:
                with open_regular(path) as file:
                    self.of(file)
            except OSError:
                return

        threading.Thread(target=look, name="edgewright-hash", daemon=True).start()


HASHES = FileHashes()  # of this process


def hashed(file: BufferedReader) -> str:
    """Hex sha256 of all bytes of a file."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
