"""Removes characters that steer a terminal or reorder a line from a board's text."""

from __future__ import annotations

from typing import Any

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
