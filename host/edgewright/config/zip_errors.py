"""The exceptions that `zipfile` raises for damaged files."""

from __future__ import annotations

import struct
import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python without lzma does not open such members

    class LZMAError(Exception):  # type: ignore[no-redef]
        """Never raised: it stands in for the missing exception."""


# in addition to OSError
BAD_ZIP = (
    zipfile.BadZipFile,
    RuntimeError,  # a password is needed; NotImplementedError: an unknown version, flag or method
    ValueError,  # offsets beyond the file, names that are not text
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    LZMAError,
)
