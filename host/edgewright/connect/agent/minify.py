"""Removes comments, docstrings and indentation from Python source; line numbers do not change."""

from __future__ import annotations

import io
import itertools
import tokenize

OPENS_BLOCK = (tokenize.ENCODING, tokenize.INDENT)
ENDS_BLOCK = (tokenize.DEDENT, tokenize.ENDMARKER)
INVISIBLE = (tokenize.COMMENT, tokenize.NL)

Cut = tuple[tuple[int, int], tuple[int, int], str]


def shrink(source: str) -> str:
    """The same program in fewer bytes; a traceback from a board still names the right lines.

    The source is only cut, never regenerated from a tree: old Pythons read the tested source. It works on tokens
    only, as CPython 3.11's `ast` fails when several threads use it.
    """
    return indented(cut(source, cuts(source)))


def cut(source: str, places: list[Cut]) -> str:
    """A source with these places replaced; each line removed becomes an empty one."""
    lines = source.split("\n")  # as the tokenizer counts lines: `splitlines` also splits at a form feed
    for (first, start), (last, end), instead in sorted(places, reverse=True):
        tail = lines[last - 1][end:]
        row = lines[first - 1][:start] + instead
        row = (
            row + tail if tail.strip() else row.rstrip()
        )  # only these rows: trailing blanks elsewhere may be part of a string
        lines[first - 1 : last] = [row, *[""] * (last - first)]
    return "\n".join(lines).rstrip() + "\n"


def tokens_of(source: str) -> list[tokenize.TokenInfo]:
    """The tokens of a source."""
    return list(tokenize.tokenize(io.BytesIO(source.encode("utf-8")).readline))


def cuts(source: str) -> list[Cut]:
    """The cuts and their replacements: comments, blanks around operators, and strings that are a block's first
    statement."""
    tokens = tokens_of(source)
    found: list[Cut] = [(one.start, one.end, "") for one in tokens if one.type == tokenize.COMMENT]
    found += [
        (one.end, other.start, "")
        for one, other in itertools.pairwise(tokens)
        if tokenize.OP in (one.type, other.type) and one.end[0] == other.start[0] and one.end < other.start
    ]
    visible = [one for one in tokens if one.type not in INVISIBLE]
    for before, token, end, after in zip(visible, visible[1:], visible[2:], visible[3:], strict=False):
        alone = before.type in OPENS_BLOCK and end.type == tokenize.NEWLINE
        if alone and token.type == tokenize.STRING:
            found.append((token.start, token.end, '""' if after.type in ENDS_BLOCK else ""))
    return found


def indented(source: str) -> str:
    """A source with one blank per indentation level; continuation lines get none, lines inside a string do not change."""
    blanks: dict[int, str] = {}
    inside: set[int] = set()
    depth, begins = 0, True
    for token in tokens_of(source):
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            depth += 1 if token.type == tokenize.INDENT else -1
        elif token.type not in (*INVISIBLE, tokenize.ENCODING, tokenize.ENDMARKER):
            blanks.setdefault(token.start[0], " " * depth if begins else "")
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
            begins = token.type == tokenize.NEWLINE
    rows = enumerate(source.split("\n"), 1)
    return "\n".join(
        row if number in inside else blanks.get(number, "") + row.lstrip() for number, row in rows
    )
