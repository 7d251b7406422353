"""Hashes of calibration and evaluation data."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from edgewright.compile.data import images
from edgewright.compile.workers import user_function
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import DataError
from edgewright.files import sha256_file
from edgewright.nouns.model_input import Absent, CalibrationData, DataFile, Synthetic

SYNTHETIC = "synthetic"  # the word that stands for seeded random calibration data


def data_sha256(path: Path | None) -> str:
    """sha256 of a data file, or of a folder's `<sha256>  <path>` lines; empty for none.

    For `module.py:function` that file and the name count: what the function reads elsewhere does not.

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
    """What the command line or the project file names: a file, the word `synthetic`, or nothing.

    Raises:
        DataError: the file is missing or unreadable.
    """
    if given is None:
        return Absent()
    if given == SYNTHETIC:
        return Synthetic()
    return DataFile(path=Path(given), sha256=calibration_sha256(Path(given)))


def calibration_sha256(path: Path) -> str:
    """As `data_sha256`; of an `.npz` by what its directory says of each member: their order in the file decides nothing.

    Nothing is decompressed: a damaged file ends in the error of what reads it.
    """
    if not zipfile.is_zipfile(path):
        return data_sha256(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((entry.filename, entry.CRC, entry.file_size) for entry in archive.infolist())
    except (OSError, *BAD_ZIP):
        return data_sha256(path)
    if len({name for name, _, _ in members}) < len(members):
        return data_sha256(path)  # of two members with one name the order decides
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()
