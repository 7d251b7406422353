"""Shortens lists and names in messages, and counts things in words."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 8  # items of a list
LETTERS = 80  # characters of a name


def listed(items: Sequence[str], *, separator: str = ", ", most: int = MOST) -> str:
    """The first few items, and how many more there are."""
    more = len(items) - most
    return separator.join(items[:most]) + (f"{separator}and {more} more" if more > 0 else "")


def cut(name: str) -> str:
    """Shortens a long name in the middle: names in one model often share their beginning."""
    half = (LETTERS - 3) // 2
    return name if len(name) <= LETTERS else f"{name[:half]}...{name[-half:]}"


def plural(count: int, word: str) -> str:
    """Such as `1 CPU`, `2 CPUs`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
