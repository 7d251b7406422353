"""Result of `export`."""

from __future__ import annotations

from edgewright.c_program.program import ExportedProgram
from edgewright.nouns.base import Noun


class ExportResult(Noun, frozen=True, kw_only=True):
    """`edgewright export`: the program that was written; in a dry run the one that would be."""

    dry_run: bool = False
    program: ExportedProgram
