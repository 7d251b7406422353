"""Copies files with their holes, so that unwritten or zero parts take no space."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from edgewright.files import open_regular

_PIECE = 1 << 22


def copy(source: Path, destination: Path, *, follow: bool = True) -> None:
    """Copies the bytes, with holes wherever the source has holes.

    Args:
        follow: whether the source may be a link.

    Raises:
        OSError: opening, reading or writing failed; or the source is no regular file.
    """
    with open_regular(source, follow=follow) as read, destination.open("wb") as write:
        at, size = 0, os.fstat(read.fileno()).st_size
        while at < size:
            at, end = _data(read.fileno(), at, size)
            _piece(read.fileno(), write.fileno(), at, end)
            at = end
        write.truncate(size)


def _data(file: int, at: int, size: int) -> tuple[int, int]:
    """(begin, end) of the next bytes that are not a hole; all remaining bytes if the system cannot report holes."""
    try:
        begin = os.lseek(file, at, os.SEEK_DATA)
        return begin, min(os.lseek(file, begin, os.SEEK_HOLE), size)
    except AttributeError:
        return at, size
    except OSError as error:
        return (size, size) if error.errno == errno.ENXIO else (at, size)  # ENXIO: only a hole is left


def _piece(read: int, write: int, at: int, end: int) -> None:
    while at < end:
        data = os.pread(read, min(_PIECE, end - at), at)
        if not data:
            return
        done = 0
        while done < len(data):
            done += os.pwrite(write, data[done:], at + done)
        at += len(data)
