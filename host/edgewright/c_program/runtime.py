"""The runtime's shared libraries, out of the wheels that boards of the same architecture get."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.nouns.target import RuntimeRow, Target, numbers
from edgewright.runtimes import wheels
from edgewright.runtimes.bundle.plan import GLIBC, NEWEST_GLIBC
from edgewright.runtimes.resolve import Picked, Search
from edgewright.runtimes.wheel_tags import WheelHost
from edgewright.runtimes.wheels import Wheel

_MOST = 1 << 29  # bytes of one library


def search(target: Target, arch: str, requires: dict[str, int]) -> Search:
    """Looks for the runtime of a target for an architecture: the libraries are the same for every Python and system, so one that is at hand is best.

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
    (major, first), (_, last) = (numbers(one) for one in row.python.split("-"))
    pythons = [f"{major}.{minor}" for minor in range(first, last + 1)]
    kinds = dict.fromkeys((target.wheel_python or one, GLIBC.get(one, NEWEST_GLIBC)) for one in pythons)
    found = [
        Search(target, WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc), None, requires)
        for python, glibc in kinds
    ]
    return next((one for one in found if _at_hand(one)), found[0])


def _at_hand(search: Search) -> bool:
    """Whether all of the wheels are on this machine: an export, a deployment or a bundle brought them."""
    best = search.best()
    if wheels.recalled(search.host, best.asked, best.row.parts) is not None:
        return True
    return search.brought(best.row.version) is not None


def fetched(looking: Search, picked: Picked, progress: Progress) -> tuple[RuntimeRow, list[Wheel]]:
    """The runtime, with its wheels on this machine.

    Raises:
        EdgewrightError: `no-wheel`, `index-unreachable`.
    """
    progress(ProgressEvent(stage="resolve", detail=picked.title))
    found = looking.fetched(picked)
    return found.row, found.wheels or []


def unpack(found: Sequence[Wheel], libraries: Sequence[str], folder: Path) -> None:
    """Copies libraries into `lib/`, and the licences of their wheels into `licenses/`.

    Raises:
        EdgewrightError: no wheel has one of them, or a wheel is damaged.
    """
    (folder / "lib").mkdir()
    left = set(libraries)
    for wheel in found:
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
    """Copies the licences and notices of a wheel, under their paths in its `licenses/`: several parts may have a LICENSE."""
    for info in archive.infolist():
        place, *below = PurePosixPath(info.filename).parts or ("",)
        if below[:1] == ["licenses"]:
            below = below[1:]
        if not place.endswith(".dist-info") or not below or ".." in below or info.is_dir():
            continue
        if below[-1].upper().startswith(("LICEN", "NOTICE", "COPYING")):
            to = folder.joinpath(*below)
            to.parent.mkdir(parents=True, exist_ok=True)
            _extract(archive, info, to)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, to: Path) -> None:
    if info.file_size > _MOST:
        raise EdgewrightError(
            f"too large for a library: {info.filename}, {info.file_size} bytes", hint="upgrade edgewright"
        )
    with archive.open(info) as source, to.open("wb") as made:
        shutil.copyfileobj(source, made)
