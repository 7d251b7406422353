"""Results of `cache`."""

from __future__ import annotations

from pathlib import Path

from edgewright.nouns.base import Noun
from edgewright.store.cache import Entry


class CacheEntry(Noun, frozen=True, kw_only=True):
    """An entry of the cache. `used`: last use, in seconds since 1970; `detail`: a description for people."""

    kind: str
    name: str
    path: Path
    size: int
    used: float
    detail: str


class CacheListResult(Noun, frozen=True, kw_only=True):
    """`edgewright cache list`. `bytes`: size of all entries."""

    entries: tuple[CacheEntry, ...]
    bytes: int


class CachePruneResult(Noun, frozen=True, kw_only=True):
    """`edgewright cache prune`.

    Attributes:
        removed_entries: what was removed, or would be.
        busy_entries: entries that stay because a running process uses them.
        kept_count, kept_bytes: number and size of the entries that are left.
    """

    dry_run: bool
    removed_entries: tuple[Entry, ...]
    busy_entries: tuple[Entry, ...]
    removed_bytes: int
    kept_count: int
    kept_bytes: int
