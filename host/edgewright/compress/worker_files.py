"""Files that a worker wrote: it may hold a stranger's code, so links are refused when they are opened, and nothing is written beside them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from edgewright.compile import artifact_files
from edgewright.errors import Code, ConversionError
from edgewright.files import open_below


class WorkerFiles:
    """A folder that a worker writes to.

    Attributes:
        path: the folder.
    """

    def __init__(self, root: Path, path: Path) -> None:
        """`root`: a folder above it that no worker can replace."""
        self._root, self.path = root, path

    @classmethod
    @contextmanager
    def new(cls, shared: Path) -> Iterator[Self]:
        """A new folder for a `with` block.

        Args:
            shared: folder that workers may write to, from `Workers.folder`.
        """
        made = Path(tempfile.mkdtemp(dir=shared))
        try:
            yield cls(shared.parent, made)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises ConversionError if it is none."""
        try:
            with open_below(self._root, f"{self.path.relative_to(self._root)}/{name}") as file:
                return file.read()
        except OSError as error:
            raise _strange(name) from error

    def copy(self, target: Path) -> None:
        """Copies all files into a new folder. Raises ConversionError if there is anything else."""
        target.mkdir(parents=True)
        for name in artifact_files.found(self.path):
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                source = open_below(self._root, f"{self.path.relative_to(self._root)}/{name}")
            except OSError as error:
                raise _strange(name) from error
            with source, place.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)


def _strange(name: str) -> ConversionError:
    return ConversionError(
        f"the worker wrote something else than a file: {name}",
        hint="the model may have taken it over: do not trust it",
        code=Code.WORKER_CRASHED,
    )
