"""The program's stdout and stderr: a failed write is reported in one line and does not interrupt a deployment."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO, cast

from edgewright.errors import Code, EdgewrightError

RECORDED = ("deploy", "rollback")  # commands that the history records


class OutputError(EdgewrightError):
    """stdout cannot be written any more."""

    code = Code.IO

    def of(self, command: str) -> OutputError:
        """The error for a command: the history keeps the results of some."""
        if command not in RECORDED:
            return self
        return OutputError(
            self.message,
            hint="the results are lost, what was done is done: `edgewright history` lists it",
        )


def guard() -> None:
    """Replaces stdout and stderr with guarded streams; opens closed standard streams, or the next file would get their number."""
    for number, mode in (
        (0, os.O_RDONLY),
        (1, os.O_RDONLY),
        (2, os.O_WRONLY),
    ):  # opened read-only, so that writing to a closed stdout still fails
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole program
    stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = cast(TextIO, Results(stdout)), cast(TextIO, Notes(stderr))


def discard() -> None:
    """Discards what is still in stdout's buffer and all later output."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


class Results:
    """stdout: raises OutputError if a write fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As in a text stream."""
        try:
            return self._stream.write(text)
        except OSError as error:
            raise failed(error) from error

    def flush(self) -> None:
        """As in a text stream."""
        try:
            self._stream.flush()
        except OSError as error:
            raise failed(error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Notes(Results):
    """stderr: ignores failed writes, because there is nowhere left to report them."""

    def write(self, text: str) -> int:
        """As in a text stream."""
        try:
            return super().write(text)
        except OutputError:
            return len(text)

    def flush(self) -> None:
        """As in a text stream."""
        try:
            super().flush()
        except OutputError:
            pass


def failed(error: OSError) -> OutputError:
    """The error for a failed write to stdout."""
    hint = "the results are lost: run it again with a stdout that can be written"
    if isinstance(error, BrokenPipeError):
        return OutputError("stdout was closed before everything was written", hint=hint)
    return OutputError(f"cannot write to stdout: {(error.strerror or str(error)).lower()}", hint=hint)
