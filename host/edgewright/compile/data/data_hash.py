"""Hashes of calibration and evaluation data."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from edgewright.compile.data import images
from edgewright.compile.inspection import calibration_member
from edgewright.compile.workers import user_function
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import DataError
from edgewright.files import sha256_file
from edgewright.nouns.model_input import Absent, CalibrationData, DataFile, Synthetic

SYNTHETIC = "synthetic"  # the keyword for seeded random calibration data


def data_sha256(path: Path | None) -> str:
    """sha256 of a data file, or of a folder's `<sha256>  <path>` lines; empty without a path.

    For `module.py:function`, the hash covers that file and the name, not what the function reads elsewhere.

    Raises:
        DataError: it is missing or unreadable.
    """
    if path is None:
        return ""
    found = user_function.named(path)
    try:
        if found is not None:
            return hashlib.sha256(f"{sha256_file(found[0])}:{found[1]}".encode()).hexdigest()
        if path.is_dir():
            inside = ((item, item.relative_to(path)) for item in path.rglob("*"))
            files = sorted(item for item, name in inside if item.is_file() and not images.hidden(name))
            lines = "".join(f"{sha256_file(item)}  {item.relative_to(path).as_posix()}\n" for item in files)
            return hashlib.sha256(lines.encode()).hexdigest()
        return sha256_file(path)
    except OSError as error:
        raise DataError(f"no such data file: {path}", hint=error.strerror or "check the path") from error


def calibration_of(given: Path | str | None) -> CalibrationData:
    """The calibration data that the command line or the project file names: a file, the word `synthetic`, or nothing.

    Raises:
        DataError: the file is missing or unreadable.
    """
    if given is None:
        return Absent()
    if given == SYNTHETIC:
        return Synthetic()
    return DataFile(path=Path(given), sha256=calibration_sha256(Path(given)))


def calibration_in(source: Path) -> CalibrationData:
    """The calibration data that a model's file holds, such as that of a quantisation-aware training; or nothing."""
    found = calibration_member.extracted(source)
    if found is None:
        return Absent()
    return DataFile(path=found, sha256=calibration_sha256(found), from_model=True)


def calibration_sha256(path: Path) -> str:
    """As `data_sha256`, but an `.npz` is hashed by its directory entries, so that the order of its members does not matter.

    Nothing is decompressed: a damaged file is reported by the code that reads it.
    """
    if not zipfile.is_zipfile(path):
        return data_sha256(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((entry.filename, entry.CRC, entry.file_size) for entry in archive.infolist())
    except (OSError, *BAD_ZIP):
        return data_sha256(path)
    if len({name for name, _, _ in members}) < len(members):
        return data_sha256(path)  # if two members share a name, their order matters
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()
