"""The only module that prints results: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.document import Document, report

if TYPE_CHECKING:
    from rich.console import Console

    from edgewright.nouns.finding import Finding


@cache
def console(stderr: bool = False) -> Console:
    """Rich's console; a narrow or absent terminal is taken as 100 columns wide so that tables stay readable in logs."""
    from rich.console import Console

    wide = None if (sys.stderr if stderr else sys.stdout).isatty() else 140
    return Console(stderr=stderr, highlight=False, width=wide, soft_wrap=False)


def clean(text: object) -> str:
    """Text safe for a terminal: what a board sends must not move the cursor or set colours."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def result(command: str, found: Noun, *, ok: bool = True) -> None:
    """Prints the JSON document of a command that came to a result; `ok`: it ends with exit code 0."""
    _write(Document(command=command, ok=ok, result=found))


def _write(document: Document[Any]) -> None:
    """The one place that writes JSON on stdout, in ASCII, so that no terminal obeys what a board sent."""
    plain = json.loads(
        msgspec.json.encode(document, enc_hook=str)
    )  # a figure that is not finite becomes null
    sys.stdout.write(json.dumps(plain, indent=2) + "\n")


def error(problem: EdgewrightError, *, json_of: str | None) -> None:
    """Prints an error: one line and a hint on stderr; with `json_of`, a command, also its document on stdout."""
    if json_of is not None:
        _write(Document(command=json_of, ok=False, error=report(problem)))
    sys.stderr.write(f"error: {clean(problem.message)}\n")
    if problem.hint:
        sys.stderr.write(f"hint: {clean(problem.hint)}\n")


def line(text: str) -> None:
    """One line of a result, on stdout."""
    sys.stdout.write(clean(text) + "\n")


def findings(found: Sequence[Finding]) -> None:
    """What was found, a line each and its hint below; or that all is ready."""
    for finding in found:
        line(f"{finding.level}: {finding.message}")
        if finding.hint:
            line(f"  hint: {finding.hint}")
    if not found:
        line("ready")


def text(block: str) -> None:
    """Lines of a result as they are but for control characters, on stdout."""
    for row in block.splitlines():
        line(row.replace("\t", "    "))


def note(text: str) -> None:
    """One line about the work, on stderr."""
    sys.stderr.write(clean(text) + "\n")


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], styles: Sequence[str | None] = ()
) -> None:
    """A table on stdout.

    Args:
        columns: headings; one that begins with `>` is set flush right.
        styles: Rich style a row, where one is wanted.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        header_style="bold", box=box.SIMPLE_HEAD if any(columns) else None, pad_edge=False, show_header=any(columns), show_edge=False,
    )  # fmt: skip
    for heading in columns:
        right = heading.startswith(">")
        made.add_column(heading.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for index, row in enumerate(rows):
        style = styles[index] if index < len(styles) else None
        made.add_row(*(Text(clean(cell)) for cell in row), style=style)
    if title:
        console().print(Text(clean(title), style="bold"))
    console().print(made)


def number(value: float | None, digits: int = 3) -> str:
    """A figure for a table: significant digits, `-` for unknown."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def size(count: int) -> str:
    """Bytes for a person."""
    if count < 1024:
        return f"{count} B"
    if count < 1024**2:
        return f"{count / 1024:.1f} KiB"
    return f"{count / 1024**2:.1f} MiB" if count < 1024**3 else f"{count / 1024**3:.1f} GiB"
