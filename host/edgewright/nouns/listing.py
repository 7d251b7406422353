"""Shortens lists and names in messages."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 8  # items of a list
LETTERS = 80  # of a name


def listed(items: Sequence[str], *, separator: str = ", ", most: int = MOST) -> str:
    """The first few, and how many more there are."""
    more = len(items) - most
    return separator.join(items[:most]) + (f"{separator}and {more} more" if more > 0 else "")


def cut(name: str) -> str:
    """A name, its middle left out where it is long: names of one model often share their beginning."""
    half = (LETTERS - 3) // 2
    return name if len(name) <= LETTERS else f"{name[:half]}...{name[-half:]}"
