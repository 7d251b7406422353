"""The files that a compilation is about: what its workers may read beside libraries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgewright.nouns.model_input import DataFile, ModelInput


def of(source: Path, files: Iterable[Path], model: ModelInput) -> Iterator[Path]:
    """The source's files and its calibration data, with what links in their folders point to.

    Args:
        files: all that the source consists of.
    """
    yield from files
    if source.is_dir():
        yield source
    if isinstance(model.calibration, DataFile):
        yield from _with_links(model.calibration.path)


def _with_links(path: Path) -> Iterator[Path]:
    """A file, or a folder and each link in it: images are often linked from another disk."""
    yield path
    for folder, folders, files in os.walk(path):
        yield from (link for name in (*folders, *files) if (link := Path(folder, name)).is_symlink())
