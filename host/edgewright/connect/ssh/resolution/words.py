"""Splits a line of an SSH configuration into words: quotes, backslashes and a comment at the end, as OpenSSH 8.7 and later do."""

from __future__ import annotations

from edgewright.errors import ConfigError

_ESCAPED = "\"'\\"


def split(text: str, where: str) -> list[str]:
    """The words of a line.

    Raises:
        ConfigError: a quote has no end.
    """
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
        elif text[at] == "#":
            break
        else:
            word, at = _word(text, at, where)
            words.append(word)
    return words


def _word(text: str, at: int, where: str) -> tuple[str, int]:
    """(a word, where it ends)."""
    letters, quote = [], ""
    while at < len(text) and (quote or text[at] not in " \t"):
        letter, following = text[at], text[at + 1 : at + 2]
        if letter == "\\" and following and (following in _ESCAPED or (not quote and following == " ")):
            letters.append(following)
            at += 1
        elif letter == quote:
            quote = ""
        elif not quote and letter in "\"'":
            quote = letter
        else:
            letters.append(letter)
        at += 1
    if quote:
        raise ConfigError(f"{where}: a quote has no end", hint=f"write {quote} at the end of the value")
    return "".join(letters), at
