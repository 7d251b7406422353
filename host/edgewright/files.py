"""Files of any kind: hashing, and atomic writing."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tempfile
from pathlib import Path


def open_regular(path: Path | str, *, follow: bool = True, folder: int | None = None) -> io.BufferedReader:
    """A regular file to read; what a link leads to must be one.

    Args:
        follow: whether the path itself may be a link.
        folder: descriptor of the folder that a relative path begins in.

    Raises:
        OSError: it cannot be read, or is none: to open a pipe would wait for ever, a device has no end.
    """
    link = 0 if follow else os.O_NOFOLLOW
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | link, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def open_below(root: Path, name: str) -> io.BufferedReader:
    """A regular file below a folder, whose path holds no link, whoever changes it meanwhile.

    Raises:
        OSError: as `open_regular`; or a part of the name is a link.
    """
    *folders, last = Path(name).parts
    place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = inner
        return open_regular(last, follow=False, folder=place)
    finally:
        os.close(place)


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(
    path: Path, data: bytes | str, *, durable: bool = False, scratch: Path | None = None
) -> None:
    """Writes a file atomically: readers see either the complete old file or the complete new one.

    Args:
        data: text is encoded as UTF-8.
        durable: flush it to the disk before renaming, so that a power cut does not leave it empty.
        scratch: folder for the temporary file, on the same file system; by default the file's own.

    Raises:
        OSError: the file cannot be written, or the path is a folder.
    """
    descriptor, name = tempfile.mkstemp(
        dir=scratch or path.parent, prefix=f".{path.name[:100]}.", suffix=".part"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
