"""Python source without what only people read: comments and docstrings. Line numbers stay as they are."""

from __future__ import annotations

import io
import tokenize

OPENS_BLOCK = (tokenize.ENCODING, tokenize.INDENT)
INVISIBLE = (tokenize.COMMENT, tokenize.NL)

Cut = tuple[tuple[int, int], tuple[int, int], str]


def shrink(source: str) -> str:
    """The same program in fewer bytes; a traceback from a board still names the right lines.

    Nothing is parsed and written anew: old Pythons read what was tested, cut and not rephrased. Tokens alone
    decide, as CPython 3.11's `ast` fails when several threads use it.
    """
    lines = source.splitlines()
    for (first, start), (last, end), instead in sorted(cuts(source), reverse=True):
        tail = lines[last - 1][end:]
        lines[first - 1 : last] = [lines[first - 1][:start] + instead + tail, *[""] * (last - first)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def cuts(source: str) -> list[Cut]:
    """What to cut, and what to put in its place: comments, and strings that are a block's first statement."""
    tokens = list(tokenize.tokenize(io.BytesIO(source.encode("utf-8")).readline))
    found: list[Cut] = [(one.start, one.end, "") for one in tokens if one.type == tokenize.COMMENT]
    visible = [one for one in tokens if one.type not in INVISIBLE]
    for before, token, after in zip(visible, visible[1:], visible[2:], strict=False):
        alone = before.type in OPENS_BLOCK and after.type == tokenize.NEWLINE
        if alone and token.type == tokenize.STRING:
            found.append((token.start, token.end, '""'))
    return found
