"""Shows an exported program to people."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from edgewright.cli import render

if TYPE_CHECKING:
    from edgewright.c_program.program import ExportedProgram


def show(found: ExportedProgram, *, dry_run: bool) -> None:
    """Prints what was written, or would be, and what comes next."""
    rows = [
        ("folder", str(found.folder)),
        ("program", f"{found.name}_model"),
        ("header", f"{found.name}_model.h"),
        ("for", found.cpu.title),
        ("compiler", found.compiler),
        ("runtime", found.runtime),
    ]
    if not dry_run:
        rows.append(("on the board", f"{render.size(found.size)}, and the program"))
    render.table("", ("", ""), rows)
    if dry_run:
        render.ending("nothing was written: leave out --dry-run to write it")
    else:
        render.ending(
            f"next: `make -C {shlex.quote(str(found.folder))}`; {found.folder}/README.md says how to copy and run it"
        )
