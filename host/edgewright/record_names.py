"""Names of records, those of installed distributions too, without an import of any: for help texts and checks of names."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path

_METADATA = (".dist-info", ".egg-info", ".egg")


def names_of(group: str, package: str) -> list[str]:
    """The names of one kind's records, sorted.

    Args:
        group: the entry points that installed distributions declare them by. package: folder of edgewright's own.
    """
    found = {*own_names(package)}
    if declares(group):
        from importlib import metadata

        found |= {point.name for point in metadata.entry_points(group=group)}
    return sorted(found)


def own_names(package: str) -> dict[str, str]:
    """Name -> module of edgewright's own: dashes of a name are underscores in its file's."""
    spec = importlib.util.find_spec(package)
    found = pkgutil.iter_modules(spec.submodule_search_locations if spec else ())
    return {one.name.replace("_", "-"): f"{package}.{one.name}" for one in found if not one.ispkg}


def declares(group: str) -> bool:
    """Whether some distribution may declare such entry points.

    Importing `importlib.metadata` takes longer than a help does, and it reads the files of all distributions again for each group.
    """
    return any(text is None or group.encode() in text for text in _entry_points(_places()))


def _places() -> tuple[tuple[str, int], ...]:
    """The folders that distributions may be in, and when something last came or went there."""
    found = []
    for place in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError):
            found.append((place, Path(place).stat().st_mtime_ns))
    return tuple(found)


@functools.lru_cache(maxsize=1)
def _entry_points(places: tuple[tuple[str, int], ...]) -> list[bytes | None]:
    """The entry points of each distribution, as in its file; None for what may be a zip."""
    found: list[bytes | None] = []
    for place, _ in places:
        try:
            entries = list(os.scandir(place or "."))
        except NotADirectoryError:
            found.append(None)
            continue
        except OSError:
            continue
        found += [_read(Path(one.path)) for one in entries if one.name.endswith(_METADATA)]
    return found


def _read(metadata: Path) -> bytes | None:
    try:
        return (metadata / "entry_points.txt").read_bytes()
    except OSError:
        return None if metadata.suffix == ".egg" else b""  # an egg may be a zip
