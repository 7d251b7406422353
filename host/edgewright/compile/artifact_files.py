"""The files of an artifact, as the last stage of a conversion left them.

Workers can write in their folders all the time, so a look at a path proves nothing about the file that is opened later: links are refused
when it is opened.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from edgewright.errors import ConversionError
from edgewright.files import open_below
from edgewright.nouns.artifact import FileEntry


def found(folder: Path) -> dict[str, Path]:
    """The files by their names in the artifact.

    Raises:
        ConversionError: one is a link, or no file: it would take another file of this machine along to the boards.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise _strange(name)
        if path.is_file():
            files[name] = path
    return files


def entry(root: Path, folder: Path, name: str) -> FileEntry:
    """The manifest's entry for a file.

    Args:
        root: a folder that no worker can replace by a link.
        folder: one below it, which the name is relative to.

    Raises:
        ConversionError: a link leads to it, or it is no file.
    """
    try:
        with open_below(root, f"{folder.relative_to(root)}/{name}") as file:
            size = os.fstat(file.fileno()).st_size
            return FileEntry(path=name, sha256=hashlib.file_digest(file, "sha256").hexdigest(), size=size)
    except OSError as error:
        raise _strange(name) from error


def _strange(name: str) -> ConversionError:
    return ConversionError(
        f"conversion made something else than a file: {name}",
        hint="the model may have taken the converter over: do not trust it",
    )
