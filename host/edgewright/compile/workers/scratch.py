"""Scratch folders below the system's temporary folder, removed with the process that uses them.

Frameworks leave files wherever TMPDIR points. A folder is locked by its users; a folder left by a killed process is removed
when the next one is created.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewright.scratch_folder import ScratchFolder

PREFIX = "edgewright-scratch-"


@contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder for a `with` block."""
    made = ScratchFolder(PREFIX)
    try:
        yield made.path
    finally:
        made.close()


def environment(place: Path) -> dict[str, str]:
    """Environment variables that send temporary files, and PyTorch's compiled kernels, to `place`."""
    return {
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place)),
        "TORCHINDUCTOR_CACHE_DIR": str(place / "inductor"),
    }
