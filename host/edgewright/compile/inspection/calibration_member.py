"""Calibration data in a network's own file: `.keras` and `.pt2` are zip archives.

The member is an `.npz` as base64 text, since PyTorch reads all extra members of a `.pt2` as text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgewright.compile.inspection.lineage_file import EPOCH, bounded, member
from edgewright.config import home, usage_marks
from edgewright.config.zip_errors import BAD_ZIP

NAME = "edgewright-calibration.npz.base64"
MOST_BYTES = 64 << 20  # of the arrays
_HEADERS = 1 << 20  # of the arrays and of the archive
_FOLDER = "evaluations"  # prepared sets lie there: workers may read it, and `edgewright cache` empties it


def add(file: Path, data: Path, inputs: Sequence[str]) -> None:
    """Writes samples into a network's file. Arguments as of `packed`."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(_entry(member(archive, NAME)), base64.b64encode(packed(data, inputs)))


def packed(data: Path, inputs: Sequence[str]) -> bytes:
    """Samples as an `.npz` whose members have the names of the inputs.

    Args:
        data: `.npz` with a member `input_<i>` for each input, or members with other names, which are kept.
        inputs: names of the inputs, which the members get: another input may have a name like a position.
    """
    named = {f"input_{index}.npy": f"{name}.npy" for index, name in enumerate(inputs)}
    made = io.BytesIO()
    with zipfile.ZipFile(data) as arrays, zipfile.ZipFile(made, "w") as archive:
        placed = set(arrays.namelist()) == set(named)
        for name in arrays.namelist():
            archive.writestr(_entry(named[name] if placed else name), arrays.read(name))
    return made.getvalue()


def extracted(file: Path) -> Path | None:
    """The `.npz` of a model file, in the state folder under its content's hash; None if it has none, or one that is damaged or too large."""
    if not file.is_file() or not zipfile.is_zipfile(file):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            name = member(archive, NAME)
            if name not in archive.namelist():
                return None
            text = bounded(archive, name, 4 * (MOST_BYTES + _HEADERS) // 3 + 4)
            if text is None:
                return None
            data = base64.b64decode(text, validate=True)
        with zipfile.ZipFile(io.BytesIO(data)) as arrays:
            if sum(entry.file_size for entry in arrays.infolist()) > MOST_BYTES + _HEADERS:
                return None
    except (OSError, binascii.Error, *BAD_ZIP):
        return None
    return _stored(data)


def _stored(data: bytes) -> Path:
    place = home.folder(_FOLDER) / f"{hashlib.sha256(data).hexdigest()}.npz"
    if not usage_marks.hold(place):
        descriptor, part = tempfile.mkstemp(dir=place.parent, prefix="tmp", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(part).replace(place)
        usage_marks.hold(place)
    return place


def _entry(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, EPOCH)
    found.compress_type = zipfile.ZIP_DEFLATED
    return found
