"""The text of a server, as it may be shown."""

from __future__ import annotations

MOST_WORDS = 300  # characters


def plain(text: str) -> str:
    """A server's text on one line, without characters that steer a terminal."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
