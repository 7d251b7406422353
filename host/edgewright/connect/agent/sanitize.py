"""Cleans lines from boards: removes characters that control a terminal or reorder a line."""

from __future__ import annotations

from typing import Any

from edgewright.errors import ProtocolError
from edgewright.wire.commands import UPDATE
from edgewright_agent import protocol

KEEP = "\n\t"


def clean_text(text: str) -> str:
    """Removes unprintable characters: control, format, surrogate, private and unassigned characters, and the line
    and paragraph separators; line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(char for char in text if char in KEEP or char.isprintable())


def clean(value: Any) -> Any:
    """A parsed JSON value with all of its strings cleaned, including keys."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return value


def read_message(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a board's line, cleaned; None if it is not an object, or has a number that is out of range.

    Raises:
        ProtocolError: it is nested too deeply.
    """
    try:
        found: dict[str, Any] = clean(protocol.decode(line))
    except (protocol.AgentError, RecursionError) as error:
        if _too_deep(error):
            raise ProtocolError("a line from the board is nested too deeply", hint=UPDATE) from error
        return None
    return found


def _too_deep(error: BaseException | None) -> bool:
    """Whether an error, or one that it follows from, says that Python's stack ended."""
    while error is not None and not isinstance(error, RecursionError):
        error = error.__context__
    return error is not None
