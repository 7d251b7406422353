"""Parses Python source. CPython 3.11's `ast` fails where several threads parse at once, so one does at a time."""

from __future__ import annotations

import ast
import threading

_PARSING = threading.Lock()


def parse(source: str | bytes, file: str = "<unknown>") -> ast.Module:
    """The tree of a module.

    Raises:
        SyntaxError, ValueError, RecursionError: it is not Python.
    """
    with _PARSING:
        return ast.parse(source, file)


def parse_expression(source: str) -> ast.Expression:
    """The tree of one expression.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is none.
    """
    with _PARSING:
        return ast.parse(source, mode="eval")
