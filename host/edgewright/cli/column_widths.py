"""Widths of a table's columns: cells wrap between words, never inside one."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 2  # spaces between two columns


def widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """A width for each column that makes the table fit `width`; None if that would break a word.

    Args:
        columns: headings; a heading that begins with `>` marks a column of figures, which do not wrap.
    """
    cells = [
        [heading.lstrip(">"), *(row[index] for row in rows)]
        for index, heading in enumerate(columns)
    ]  # fmt: skip
    found = [max(map(len, column)) for column in cells]
    least = [
        max(longest_word(column[0]), *(len(cell) for cell in column[1:]), 0)
        if heading.startswith(">")
        else max(map(longest_word, column))
        for heading, column in zip(columns, cells, strict=True)
    ]
    room = width - GAP * (len(columns) - 1)
    if sum(least) > room:
        return None
    while sum(found) > room:  # shrink the widest column that can still shrink
        widest = max(
            (index for index in range(len(found)) if found[index] > least[index]),
            key=lambda index: found[index],
        )
        found[widest] = max(least[widest], found[widest] - max(1, (sum(found) - room) // 4))
    return found


def longest_word(text: str) -> int:
    """The length of the longest word."""
    return max(map(len, text.split()), default=0)
