"""Files of any kind: their hash, and writing one whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(
    path: Path, data: bytes | str, *, durable: bool = False, scratch: Path | None = None
) -> None:
    """Writes a file: readers see the old one or the new one, whole.

    Args:
        data: text is written as UTF-8.
        durable: flush it to the disk before it takes its name, so that a power cut does not leave it empty.
        scratch: folder for the temporary file, on the same file system; default: the file's own.

    Raises:
        OSError: it cannot be written, or the path is a folder.
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
