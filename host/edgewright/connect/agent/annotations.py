"""Removes from board code what only type checkers read: annotations, and the import of the module that names their types."""

from __future__ import annotations

import keyword
import tokenize

from edgewright.connect.agent.minify import INVISIBLE, Cut, cut, tokens_of

PACKAGE, SHAPES = "edgewright_agent", "shapes"
ENDS_STATEMENT = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)

Tokens = list[tokenize.TokenInfo]


def without_annotations(source: str) -> str:
    """The same program; a traceback still names the right lines.

    Handles only quoted annotations, as board code has no others: Python 3.6 would evaluate them. Works on tokens only,
    as `shrink` does. A function's header becomes one line: most headers span several only because of annotations.
    """
    tokens = [one for one in tokens_of(source) if one.type not in INVISIBLE]
    found: list[Cut] = []
    start = depth = 0
    for number, token in enumerate(tokens):
        depth += opened(token)
        if token.type in ENDS_STATEMENT or (token.string == ";" and not depth):
            found += statement(tokens[start:number], token)
            start = number + 1
        elif token.string == ":" and tokens[start].string == "def" and not depth:
            found.append(header(tokens[start : number + 1]))
            start = number + 1
    return cut(source, found)


def opened(token: tokenize.TokenInfo) -> int:
    """1 for a token that opens a bracket, -1 for one that closes it."""
    if token.type != tokenize.OP:
        return 0
    return (token.string in "([{") - (token.string in ")]}")


def statement(tokens: Tokens, end: tokenize.TokenInfo) -> list[Cut]:
    """The cuts in a simple statement: a variable's annotation, the import of the shapes."""
    words = [one.string for one in tokens]
    if words[:3] == ["from", PACKAGE, "import"] and SHAPES in words:
        return [without_shapes(tokens, words.index(SHAPES), end)]
    colon = words.index(":") if ":" in words[:-1] else 0
    named = all(one == "." or (one.isidentifier() and not keyword.iskeyword(one)) for one in words[:colon])
    after = annotation_end(tokens, colon)
    if not colon or not named or after == colon + 1:
        return []
    if after == len(tokens):  # without its annotation, this would read a variable that has no value yet
        return [(tokens[0].start, tokens[-1].end, "pass")]
    return [(tokens[colon].start, tokens[after - 1].end, "")] if words[after] == "=" else []


def annotation_end(tokens: Tokens, mark: int) -> int:
    """The index of the token after a quoted annotation, which may consist of several strings. `mark`: index of its colon or arrow."""
    return next(
        (one for one in range(mark + 1, len(tokens)) if tokens[one].type != tokenize.STRING), len(tokens)
    )


def without_shapes(tokens: Tokens, at: int, end: tokenize.TokenInfo) -> Cut:
    """The cut in an import that names the shapes: the whole import if it names nothing else."""
    words = [one.string for one in tokens]
    last = at + 2 if words[at + 1 : at + 2] == ["as"] else at
    if {*words[3:at], *words[last + 1 :]} <= {"(", ")", ","}:
        alone = (
            tokens[0].start[1] == 0 and end.type == tokenize.NEWLINE
        )  # otherwise a block might lose its only statement
        return tokens[0].start, tokens[-1].end, "" if alone else "pass"
    if words[last + 1 : last + 2] == [","]:
        return tokens[at].start, tokens[last + 1].end, ""
    return tokens[at - 1].start, tokens[last].end, ""


def header(tokens: Tokens) -> Cut:
    """A function's header from `def` to the colon, and its one-line replacement."""
    text, before, depth, number, cut_before = "", tokens[0], 0, 0, False
    lambdas: list[int] = []  # depths of the lambdas whose colon has not come yet
    while number < len(tokens):
        token = tokens[number]
        depth += opened(token)
        if token.string == "lambda":
            lambdas.append(depth)
        elif token.string == ":" and lambdas and lambdas[-1] == depth:
            lambdas.pop()
        elif annotates(tokens, number, depth):
            number, cut_before = annotation_end(tokens, number), True
            continue
        number += 1
        if depth == 1 and token.string == "," and tokens[number].string == ")":
            continue
        text += ("" if cut_before else between(before, token)) + token.string
        before, cut_before = token, cut_before and token.string == "="
    return tokens[0].start, tokens[-1].end, text


def annotates(tokens: Tokens, number: int, depth: int) -> bool:
    """Whether a quoted annotation starts at this token of a header, which rules out a lambda's colon."""
    after = annotation_end(tokens, number)
    if after == number + 1 or after == len(tokens):
        return False
    if tokens[number].string == "->":
        return tokens[after].string == ":"
    named = tokens[number - 1].type == tokenize.NAME and tokens[number - 2].string in ("(", ",", "*", "**")
    return tokens[number].string == ":" and depth == 1 and named and tokens[after].string in (",", ")", "=")


def between(before: tokenize.TokenInfo, token: tokenize.TokenInfo) -> str:
    """The blank, if one is needed, between two tokens of a header that becomes one line."""
    if before.end[0] == token.start[0]:
        return " " * (token.start[1] - before.end[1])
    return "" if before.string in "([{" or token.string in ")]}" else " "
