"""Reads and writes entries of an ONNX file's `metadata_props` without the onnx package."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgewright.compile.inspection import protobuf

# field numbers of onnx.proto
_METADATA, _KEY, _VALUE = 14, 1, 2


def add(file: Path, key: str, value: bytes) -> None:
    """Appends an entry, whose key the file must not have yet: fields of a message may follow in any order."""
    entry = protobuf.field(_KEY, key.encode()) + protobuf.field(_VALUE, value)
    with file.open("ab") as end:
        end.write(protobuf.field(_METADATA, entry))


def read(file: Path, key: str, most: int) -> bytes | None:
    """The value of an entry; None if there is none in an entry of at most `most` bytes, or if the file is no ONNX model."""
    try:
        with file.open("rb") as opened:
            data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        for entry in protobuf.children(data, _METADATA):
            if len(entry) <= most and protobuf.text(entry, _KEY) == key:
                return next((bytes(value) for value in protobuf.children(entry, _VALUE)), None)
    except (OSError, ValueError):
        pass
    return None
