"""Document: the one JSON document that a command prints with `--json`, and the error in it."""

from __future__ import annotations

from typing import Generic, TypeVar

from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun

SCHEMA = 2  # raise it when a key is removed or changes its meaning; new keys do not require it
T = TypeVar("T")


class ErrorReport(Noun, frozen=True, kw_only=True):
    """The error that occurred. `code` is stable, `message` and `hint` are for people."""

    code: str
    message: str
    hint: str


class Document(Noun, Generic[T], frozen=True, kw_only=True):
    """The document that a command prints with `--json`. Every key is always present.

    Attributes:
        schema: version of this format.
        command: the command, such as `fleet list`; empty if the command line names none.
        ok: whether the exit code is 0.
        error: why there is no result; null if there is one, even if a board in it failed.
        result: what the command found or did; null where an error prevented it.
    """

    schema: int = SCHEMA
    command: str
    ok: bool
    error: ErrorReport | None = None
    result: T | None = None


def report(error: EdgewrightError) -> ErrorReport:
    """The part of an error that a document holds."""
    return ErrorReport(code=error.code, message=error.message, hint=error.hint)
