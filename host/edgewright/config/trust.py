"""Reads and writes `<fleet>.trust.toml`: the pins of a fleet."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgewright.config import strict
from edgewright.config.folder_lock import locked
from edgewright.nouns.board import Fleet, TrustFile

SEVERAL_KEYS = 2  # the schema of files with `other_keys`
_READING = threading.Lock()


def path_of(fleet: Fleet) -> Path:
    """The trust file of a fleet."""
    return fleet.path.with_name(f"{fleet.path.stem}.trust.toml")


def load(fleet: Fleet) -> TrustFile:
    """The fleet's pins; none if there is no file yet. Not to be changed: see `changing`."""
    path = path_of(fleet)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return TrustFile()
    with _READING:  # else the boards' threads begin with the same file all at once
        return _read(path, (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size))


@functools.lru_cache(maxsize=1)
def _read(path: Path, version: tuple[int, ...]) -> TrustFile:  # noqa: ARG001 - part of the cache's key
    """Each board of a large fleet asks twice, and parsing takes long: a file is read once, until it is replaced."""
    return strict.read(path, TrustFile, what="trust file", schema=SEVERAL_KEYS)


def save(fleet: Fleet, trust: TrustFile) -> None:
    """Writes the pins atomically; in schema 1, which every version reads, unless a host has several keys."""
    several = any(pin.other_keys for pin in (*trust.boards.values(), *trust.hosts.values()))
    strict.write(path_of(fleet), msgspec.structs.replace(trust, schema=SEVERAL_KEYS if several else 1))


@contextlib.contextmanager
def changing(fleet: Fleet) -> Iterator[TrustFile]:
    """Yields the fleet's pins for changes, then saves them; locked against other processes and threads."""
    with locked(fleet.path.parent):
        before = load(fleet)
        trust = TrustFile(schema=before.schema, boards=dict(before.boards), hosts=dict(before.hosts))
        yield trust
        if trust != before:
            save(fleet, trust)
