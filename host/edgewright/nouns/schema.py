"""Schema versions: a file written by a newer edgewright is refused before anything else in it is read."""

from __future__ import annotations

import json

from edgewright.errors import Code, EdgewrightError

CODE = Code.NEWER_SCHEMA
HINT = "a newer edgewright wrote it: upgrade this one"


def check(
    written: object, newest: int, what: str, error: type[EdgewrightError] = EdgewrightError, *, code: str = ""
) -> None:
    """Checks that this version can read a schema.

    Args:
        written: the `schema` that was read.
        newest: newest schema that this version reads; it reads all from 1 on.
        what: the file, for the message.
        error: the class to raise.
        code: of the error; by default `newer-schema`, or the class's own.

    Raises:
        EdgewrightError: `newer-schema`; or `written` is not a schema at all.
    """
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        raise error(
            f"{what}: not a schema: {written!r}", hint=f"this version writes schema {newest}", code=code
        )
    if written > newest:
        raise error(
            f"{what} has schema {written}, this version reads up to {newest}", hint=HINT, code=code or CODE
        )


def of_json(raw: bytes) -> object:
    """The `schema` in a JSON object, whatever else it holds; 1 if there is none, or if it is not an object."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):  # strict parsing will report the error
        return 1
    return found.get("schema", 1) if isinstance(found, dict) else 1
