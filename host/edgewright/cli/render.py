"""The only module that prints results: tables for people, one JSON document for programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from edgewright.cli import signals
from edgewright.cli.column_widths import widths
from edgewright.errors import EdgewrightError

if TYPE_CHECKING:
    from rich.console import Console

    from edgewright.nouns.base import Noun
    from edgewright.nouns.document import Document
    from edgewright.nouns.finding import Finding


class Live(Protocol):
    """A display that changes in place at the bottom of the terminal."""

    def away(self) -> AbstractContextManager[None]:
        """Hides the display while the context is open."""


live: list[Live] = []  # the display on the terminal now, if any: it must not overwrite printed output


def free() -> AbstractContextManager[None]:
    """Hides the live display, if any, while the context is open."""
    return live[-1].away() if live else nullcontext()


@cache
def console(stderr: bool = False) -> Console:
    """Rich's console; without a terminal it is 140 columns wide, so that tables stay readable in logs."""
    from rich.console import Console

    wide = None if (sys.stderr if stderr else sys.stdout).isatty() else 140
    return Console(stderr=stderr, highlight=False, width=wide, soft_wrap=False)


def clean(text: object) -> str:
    """Text that is safe for a terminal: text from a board must not move the cursor or set colours."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def result(command: str, found: Noun, *, ok: bool = True) -> None:
    """Prints the JSON document of a command that has a result; `ok`: the command exits with 0 unless it was stopped."""
    from edgewright.nouns.document import (
        Document,
    )  # brings msgspec, which takes a fifth of the time of `--help`

    _write(Document(command=command, ok=ok and not signals.stopped(), result=found))


def _write(document: Document[Any]) -> None:
    """Writes JSON to stdout: the only place that does. ASCII, so that no terminal obeys text from a board."""
    import json

    import msgspec

    plain = json.loads(
        msgspec.json.encode(document, enc_hook=str)
    )  # a number that is not finite becomes null
    with free():
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")


def error(problem: EdgewrightError, *, json_of: str | None) -> None:
    """Prints an error: one line and a hint on stderr; with `json_of` (a command), also that command's document on stdout."""
    sys.stderr.write(f"error: {clean(problem.message)}\n")
    if problem.hint:
        sys.stderr.write(f"hint: {clean(problem.hint)}\n")
    if json_of is not None:
        from edgewright.nouns.document import Document, report

        _write(Document(command=json_of, ok=False, error=report(problem)))


def line(text: str) -> None:
    """Prints one line of a result on stdout."""
    with free():
        sys.stdout.write(folded(clean(text), sys.stdout) + "\n")


def findings(found: Sequence[Finding]) -> None:
    """Prints each finding on one line with its hint below, or that all is ready."""
    for finding in found:
        line(f"{finding.level}: {finding.message}")
        if finding.hint:
            line(f"  hint: {finding.hint}")
    if not found:
        line("ready")


def text(block: str) -> None:
    """Prints the lines of a result on stdout, unchanged except for control characters."""
    with free():
        for row in block.splitlines():
            sys.stdout.write(clean(row.replace("\t", "    ")) + "\n")


def note(text: str) -> None:
    """Prints one line about the work on stderr."""
    with free():
        sys.stderr.write(folded(clean(text), sys.stderr) + "\n")


def folded(text: str, stream: TextIO) -> str:
    """A line wrapped for the terminal: between words, and never inside a command that users copy."""
    if not stream.isatty() or len(text) <= (width := console(stderr=stream is sys.stderr).width):
        return text
    lines, indent = [""], " " * (len(text) - len(text.lstrip()))
    for word in re.findall(r"(?:`[^`]*`|\S)+", text):
        if lines[-1].strip() and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else indent + word
    return "\n".join(lines)


def ending(text: str) -> None:
    """Prints the closing line for people on stderr: the result and what to do next."""
    note(text)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    styles: Sequence[str | None] = (),
    *,
    spare: Sequence[str] = (),
) -> None:
    """Prints a table on stdout.

    Args:
        columns: headings; a heading that begins with `>` aligns its column right.
        styles: a Rich style for each row, or none.
        spare: headings of columns to drop, in this order, while the table is too wide for the terminal.
    """
    with free():
        _table(title, columns, [[clean(cell) for cell in row] for row in rows], styles, spare)


def _table(
    title: str,
    columns: Sequence[str],
    cells: list[list[str]],
    styles: Sequence[str | None],
    spare: Sequence[str],
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = widths(columns, cells, console().width)
    for heading in spare:
        if found is None:
            at = columns.index(heading)
            columns, *cells = ([*row[:at], *row[at + 1 :]] for row in (columns, *cells))
            found = widths(columns, cells, console().width)
    if title:
        console().print(Text(clean(title), style="bold"), soft_wrap=True)
    if found is None:
        blocks(columns, cells)
        return
    made = Table(
        header_style="bold", box=box.SIMPLE_HEAD if any(columns) else None, pad_edge=False, show_header=any(columns), show_edge=False, collapse_padding=True,
    )  # fmt: skip
    for heading, width in zip(columns, found, strict=True):
        right = heading.startswith(">")
        made.add_column(heading.lstrip(">"), justify="right" if right else "left", width=width)
    for index, row in enumerate(cells):
        made.add_row(*map(Text, row), style=styles[index] if index < len(styles) else None)
    console().print(made)


def blocks(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table that is too wide for the terminal: a block for each row, a line for each cell that is not empty."""
    headings = [heading.lstrip(">") for heading in columns]
    if not any(headings):  # names and values
        room = max((len(row[0]) for row in rows), default=0)
        for row in rows:
            _cell(row[0], room, " ".join(row[1:]))
        return
    room = max(map(len, headings))
    for row in rows:
        line(" ".join(part for part in (headings[0], row[0]) if part))
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            if cell not in ("", "-"):
                _cell(f"  {heading}", room + 2, cell)


def _cell(name: str, room: int, text: str) -> None:
    """A cell after its name, wrapped between words."""
    from textwrap import wrap

    width = max(20, console().width - room - 2)
    for number, part in enumerate(wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]):
        line(f"{'' if number else name:<{room}}  {part}")


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table, to this many significant digits; `-` if unknown."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def size(count: int) -> str:
    """A number of bytes, for people."""
    if count < 1024:
        return f"{count} B"
    if count < 1024**2:
        return f"{count / 1024:.1f} KiB"
    return f"{count / 1024**2:.1f} MiB" if count < 1024**3 else f"{count / 1024**3:.1f} GiB"
