"""The lineage of a compressed network, in the network's own file: `.keras` and `.pt2` are zip archives, and ONNX files have metadata."""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec

from edgewright.compile.inspection import onnx_metadata
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.nouns.compression import Lineage

NAME = "edgewright-lineage.json"
_MOST_BYTES = 1 << 20
EPOCH = (1980, 1, 1, 0, 0, 0)


def add(file: Path, lineage: Lineage) -> None:
    """Writes the lineage into a network's file. In a `.pt2` it is one of the extra files of `torch.export.save`; in an ONNX file, which must not
    have one yet, an entry of `metadata_props`."""
    data = msgspec.json.encode(lineage)
    if file.suffix == ".onnx":
        onnx_metadata.add(file, NAME, data)
        return
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(member(archive, NAME), EPOCH), data)


def read(file: Path) -> Lineage | None:
    """The lineage in a model file; None if it has none, or one that cannot be read."""
    if not file.is_file():
        return None
    try:
        data = _of_archive(file) if zipfile.is_zipfile(file) else onnx_metadata.read(file, NAME, _MOST_BYTES)
        return None if data is None else msgspec.json.decode(data, type=Lineage)
    except (*BAD_ZIP, msgspec.DecodeError):
        return None


def _of_archive(file: Path) -> bytes | None:
    with zipfile.ZipFile(file) as archive:
        name = member(archive, NAME)
        return bounded(archive, name, _MOST_BYTES) if name in archive.namelist() else None


def bounded(archive: zipfile.ZipFile, name: str, limit: int) -> bytes | None:
    """A member's bytes; None if there are more than the limit, whatever the archive says of itself, or if they cannot be unpacked in small parts."""
    if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return None
    with archive.open(name) as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def member(archive: zipfile.ZipFile, name: str) -> str:
    """Where a file of edgewright's lies: PyTorch's archives have one folder that holds everything."""
    roots = {path.partition("/")[0] for path in archive.namelist()}
    inside = len(roots) == 1 and all("/" in path for path in archive.namelist())
    return f"{roots.pop()}/extra/{name}" if inside else name
