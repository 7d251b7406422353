"""Reads and writes `<fleet>.trust.toml`: the pins of a fleet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgewright.config import strict
from edgewright.config.folder_lock import locked
from edgewright.nouns.board import Fleet, TrustFile


def path_of(fleet: Fleet) -> Path:
    """The trust file of a fleet."""
    return fleet.path.with_name(f"{fleet.path.stem}.trust.toml")


def load(fleet: Fleet) -> TrustFile:
    """The fleet's pins; none where there is no file yet."""
    path = path_of(fleet)
    return strict.read(path, TrustFile, what="trust file") if path.exists() else TrustFile()


def save(fleet: Fleet, trust: TrustFile) -> None:
    """Writes the pins atomically."""
    strict.write(path_of(fleet), trust)


@contextlib.contextmanager
def changing(fleet: Fleet) -> Iterator[TrustFile]:
    """The fleet's pins, to be changed in place and saved then, under a lock of processes and threads."""
    with locked(fleet.path.parent):
        before = load(fleet)
        trust = TrustFile(schema=before.schema, boards=dict(before.boards), hosts=dict(before.hosts))
        yield trust
        if trust != before:
            save(fleet, trust)
