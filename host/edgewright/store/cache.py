"""The cache: everything in the state folder that can be rebuilt, bounded by size and age.

The kinds are artifacts, evaluation sets, answers, wheels, agent packages, logs, steps of compressions and failed trials of searches. History, raw
samples, labs and toolchains are not part of it. Entries in use by a live process are marked (`config.usage_marks`) and kept.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from edgewright.config import home, usage_marks
from edgewright.errors import ArtifactError, UsageError
from edgewright.nouns.base import Noun
from edgewright.store import artifacts

DEFAULT_BYTES = 10 * 1024**3
LIMIT_VARIABLE = "EDGEWRIGHT_CACHE_SIZE"
LEFTOVER_S = 86_400.0  # an unfinished entry this old counts as left by a killed process

# kind -> (folder below the home, pattern of the entries' names)
_KINDS = {
    "artifact": ("artifacts/objects", r"[0-9a-f]{64}"),
    "evaluation": ("evaluations", r"[0-9a-f]{64}|[0-9a-f]+\.(npz|labels\.npy|run)"),
    "answers": ("answers", r"[0-9a-f]{64}\.npz"),
    "wheel": ("wheels", r"[0-9a-f]{64}"),
    "agent": ("agent", r".*\.pyz"),
    "log": ("logs", r".*\.log"),
    "compression": ("compressions", r"[0-9a-f]{64}"),
    "trial": ("trials", r"[0-9a-f]{64}\.json"),
}
_UNFINISHED = {
    "artifacts/temporary": r".*",
    "evaluations": r"tmp.*|.*\.part",
    "answers": r".*\.part",
    "wheels": r"\.download-.*|\.note-.*",
    "agent": r"tmp.*",
    "compressions": r".*\.partial|tmp.*",
    "trials": r"tmp.*",
}
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_AGES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class Entry(Noun, frozen=True, kw_only=True):
    """One entry of the cache.

    Attributes:
        size: bytes of its files.
        used: time of last use, seconds since 1970.
    """

    kind: str
    name: str
    path: Path
    size: int
    used: float


class Pruned(Noun, frozen=True, kw_only=True):
    """The result of a prune, actual or dry.

    Attributes:
        in_use: entries that should have been removed but are in use by a live process.
        kept: number of entries left.
        kept_bytes: their size.
    """

    removed: tuple[Entry, ...]
    in_use: tuple[Entry, ...]
    kept: int
    kept_bytes: int

    @property
    def removed_bytes(self) -> int:
        """Bytes that were freed."""
        return sum(entry.size for entry in self.removed)


def entries() -> tuple[Entry, ...]:
    """Everything in the cache, most recently used first."""
    found = [
        Entry(kind=kind, name=path.name, path=path, size=size, used=used)
        for kind, (folder, pattern) in _KINDS.items()
        for path, size, used in _scan(home.home() / folder, pattern)
    ]
    return tuple(sorted(found, key=lambda entry: (-entry.used, entry.kind, entry.name)))


def described(entry: Entry) -> str:
    """A description of an artifact for people; empty for other kinds."""
    if entry.kind != "artifact":
        return ""
    try:
        manifest = artifacts.load(entry.path, verify=False).manifest
    except ArtifactError:
        return "damaged"
    return f"{manifest.source.file} -> {manifest.target} {manifest.precision}"


def prune(
    *, max_bytes: int | None = None, older_than_s: float | None = None, dry_run: bool = False
) -> Pruned:
    """Removes entries not used for `older_than_s`, then the least recently used ones until the rest fits `max_bytes`."""
    found = entries()
    now = time.time()
    left = sum(entry.size for entry in found)
    count = len(found)
    removed: list[Entry] = []
    busy: list[Entry] = []
    for entry in reversed(found):
        old = older_than_s is not None and now - entry.used > older_than_s
        if not old and (max_bytes is None or left <= max_bytes):
            continue
        if _remove(entry, dry_run=dry_run):
            removed.append(entry)
        elif not usage_marks.gone(entry.path):
            busy.append(entry)
            continue
        left, count = left - entry.size, count - 1  # also if another prune has removed it meanwhile
    if not dry_run:
        if (home.home() / "artifacts").is_dir():  # including keys left by a killed prune
            artifacts.ArtifactStore(home.folder("artifacts")).forget_lost_keys()
        _forget_lost_wheels()
        _sweep(now)
    return Pruned(removed=tuple(removed), in_use=tuple(busy), kept=count, kept_bytes=left)


def limit() -> int | None:
    """The size limit, bytes: `EDGEWRIGHT_CACHE_SIZE`, by default 10G; None if that is `none`.

    Raises:
        UsageError: the variable is not a size.
    """
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if text.lower() == "none":
        return None
    return parse_size(text) if text else DEFAULT_BYTES


def parse_size(text: str) -> int:
    """Parses `10G`, `500M`, `1.5T` or plain bytes to bytes.

    Raises:
        UsageError: not of that form.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(f"not a size: {text}", hint="such as 500M or 10G")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def parse_age(text: str) -> float:
    """Parses `30d`, `12h`, `45m`, `90s` or `2w` to seconds.

    Raises:
        UsageError: not of that form.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(f"not an age: {text}", hint="such as 12h or 30d")
    return float(found[1]) * _AGES[found[2].lower()]


def _scan(folder: Path, pattern: str) -> Iterator[tuple[Path, int, float]]:
    """(path, bytes, last use) of the entries in a folder; entries that vanish meanwhile are skipped."""
    try:
        items = list(os.scandir(folder))
    except OSError:
        return
    for item in items:
        if re.fullmatch(pattern, item.name) and not item.is_symlink():
            try:
                yield Path(item.path), _size(item), item.stat(follow_symlinks=False).st_mtime
            except OSError:
                continue


def _size(item: os.DirEntry[str]) -> int:
    if not item.is_dir(follow_symlinks=False):
        return item.stat(follow_symlinks=False).st_size
    return sum(path.lstat().st_size for path in Path(item.path).rglob("*") if not path.is_dir())


def _remove(entry: Entry, *, dry_run: bool) -> bool:
    """Renames an entry away while it is locked against use, then deletes it. Returns False if it is in use, was just used, or is gone."""
    aside = home.folder("trash") / uuid.uuid4().hex
    with usage_marks.taken(entry.path) as free:
        if not free or entry.path.lstat().st_mtime > entry.used:
            return False
        if dry_run:
            return True
        entry.path.rename(aside)
    _delete(aside)
    return True


def _forget_lost_wheels() -> None:
    """Deletes records that refer to missing wheels: resolutions, and kits from bundles."""
    folder = home.home() / "wheels"
    with usage_marks.taken(folder) as free:  # writers of such records hold the folder
        for note in folder.glob("*.json") if free else ():
            try:
                named = re.findall(rb'"([0-9a-f]{64})"', note.read_bytes())
                if not all((folder / sha256.decode("ascii")).exists() for sha256 in named):
                    note.unlink()
            except OSError:
                continue


def _sweep(now: float) -> None:
    """Deletes what earlier prunes renamed away, and what killed processes left unfinished."""
    for path, _, _ in _scan(home.home() / "trash", r"[0-9a-f]{32}"):
        _delete(path)
    for folder, pattern in _UNFINISHED.items():
        for path, _, used in _scan(home.home() / folder, pattern):
            if now - used > LEFTOVER_S:
                _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
