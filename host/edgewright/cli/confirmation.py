"""Asks the user to confirm what a command is about to do."""

from __future__ import annotations

import sys

import typer

from edgewright.errors import Code, EdgewrightError


def confirm(question: str, yes: bool) -> None:
    """Asks for confirmation; aborts the command on no, or if stdin is not a terminal.

    Args:
        yes: `--yes` was given: do not ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise EdgewrightError(
            "cannot prompt: stdin is not a terminal", hint="use --yes to skip the question", code=Code.ABORTED
        )
    if not typer.confirm(question, err=True):
        raise KeyboardInterrupt
