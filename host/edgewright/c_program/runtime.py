"""The runtime's shared libraries, out of the wheels that boards of the same architecture get."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.nouns.target import RuntimeRow, Target
from edgewright.runtimes.bundle.plan import GLIBC, NEWEST_GLIBC
from edgewright.runtimes.resolve import Picked, Search
from edgewright.runtimes.wheel_tags import WheelHost
from edgewright.runtimes.wheels import Wheel

_MOST = 1 << 29  # bytes of one library


def search(target: Target, arch: str, requires: dict[str, int]) -> Search:
    """Looks for the runtime of a target for an architecture.

    Raises:
        EdgewrightError: `no-wheel`, there is none.
    """
    row = next((one for one in target.runtimes if arch in one.archs), None)
    if row is None:
        raise EdgewrightError(
            f"{target.title} has no runtime for {arch}",
            hint="convert for another profile",
            code=Code.NO_WHEEL,
        )
    python = row.python.split("-")[0]  # the libraries are the same for all
    glibc = GLIBC.get(python, NEWEST_GLIBC)
    host = WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc)
    return Search(target, host, None, requires)


def fetched(looking: Search, picked: Picked, progress: Progress) -> tuple[RuntimeRow, list[Wheel]]:
    """The runtime, with its wheels on this machine.

    Raises:
        EdgewrightError: `no-wheel`, `index-unreachable`.
    """
    progress(ProgressEvent(stage="resolve", detail=picked.title))
    found = looking.fetched(picked)
    return found.row, found.wheels or []


def unpack(wheels: Sequence[Wheel], libraries: Sequence[str], folder: Path) -> None:
    """Copies libraries into `lib/`, and the licences of their wheels into `licenses/`.

    Raises:
        EdgewrightError: no wheel has one of them, or a wheel is damaged.
    """
    (folder / "lib").mkdir()
    left = set(libraries)
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel.path) as archive:
                here = left & set(archive.namelist())
                for path in sorted(here):
                    _extract(archive, archive.getinfo(path), folder / "lib" / PurePosixPath(path).name)
                if here:
                    _licences(archive, folder / "licenses" / wheel.distribution)
                left -= here
        except BAD_ZIP as error:
            raise EdgewrightError(
                f"damaged wheel: {wheel.file}",
                hint="`edgewright cache prune` removes it; then run this again",
            ) from error
    if left:
        raise EdgewrightError(
            f"the runtime's wheels lack {', '.join(sorted(left))}",
            hint="upgrade edgewright",
            code=Code.WRONG_WHEEL,
        )


def _licences(archive: zipfile.ZipFile, folder: Path) -> None:
    """Copies the licences and notices of a wheel."""
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        if path.parts[0].endswith(".dist-info") and path.name.upper().startswith(
            ("LICEN", "NOTICE", "COPYING")
        ):
            folder.mkdir(parents=True, exist_ok=True)
            _extract(archive, info, folder / path.name)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, to: Path) -> None:
    if info.is_dir():
        return
    if info.file_size > _MOST:
        raise EdgewrightError(
            f"too large for a library: {info.filename}, {info.file_size} bytes", hint="upgrade edgewright"
        )
    with archive.open(info) as source, to.open("wb") as made:
        shutil.copyfileobj(source, made)
