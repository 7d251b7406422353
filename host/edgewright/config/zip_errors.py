"""The exceptions that `zipfile` raises for damaged files."""

from __future__ import annotations

import struct
import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python without it does not open such members

    class LZMAError(Exception):  # type: ignore[no-redef]
        """Never raised."""


# besides OSError
BAD_ZIP = (
    zipfile.BadZipFile,
    RuntimeError,  # a password is asked for; NotImplementedError: a version, flag or method that it does not know
    ValueError,  # offsets past any file, names that are not text
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    LZMAError,
)
