"""Reads lines of boards: removes characters that steer a terminal or reorder a line."""

from __future__ import annotations

from typing import Any

from edgewright.errors import ProtocolError
from edgewright.wire.commands import UPDATE
from edgewright_agent import protocol

KEEP = "\n\t"


def clean_text(text: str) -> str:
    """Without what is not printable: control, format, surrogate, private and unassigned characters, and the line
    and paragraph separators; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char for char in text if char in KEEP or char.isprintable())


def clean(value: Any) -> Any:
    """A parsed JSON value with every string in it cleaned, keys too."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return value


def read_message(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a board's line, cleaned; None where it is none, or a number in it is out of range.

    Raises:
        ProtocolError: it is nested too deeply.
    """
    try:
        found: dict[str, Any] = clean(protocol.decode(line))
    except (protocol.AgentError, RecursionError) as error:
        if isinstance(error, RecursionError) or isinstance(error.__context__, RecursionError):
            raise ProtocolError("a line from the board is nested too deeply", hint=UPDATE) from error
        return None
    return found
