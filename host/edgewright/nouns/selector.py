"""Selectors choose boards of a fleet: names, `@label`, `name[01-20]`, `all`, comma-joined."""

from __future__ import annotations

import difflib
import re

from edgewright.errors import Code, UsageError
from edgewright.nouns.board import Board, Fleet

RANGE = re.compile(r"(?P<head>[^\[\]]*)\[(?P<low>\d+)-(?P<high>\d+)\](?P<tail>[^\[\]]*)\Z")
MAX_RANGE = 10000
FORMS = "board names, @label, name[01-20], all, joined by commas"


def select(fleet: Fleet, selector: str) -> list[Board]:
    """The boards that a selector names, without duplicates, in the fleet's order.

    Raises:
        UsageError: no such board or label, or no boards selected.
    """
    wanted: set[str] = set()
    for part in filter(None, (piece.strip() for piece in selector.split(","))):
        wanted.update(names_of(fleet, part))
    if not wanted:
        hint = f"use {FORMS}" if fleet.boards else "add one: `edgewright fleet add NAME ADDRESS`"
        raise UsageError(f"no board chosen: {selector!r}", hint=hint, code=Code.NO_BOARD)
    return [board for name, board in fleet.boards.items() if name in wanted]


def names_of(fleet: Fleet, part: str) -> list[str]:
    """Names of the boards that one part of a selector names."""
    if part == "all":
        return list(fleet.boards)
    if part.startswith("@"):
        names = [name for name, board in fleet.boards.items() if part[1:] in board.labels]
        if not names:
            labels = sorted({label for board in fleet.boards.values() for label in board.labels})
            raise UsageError(
                f"no board has the label: {part}",
                hint=f"labels: {', '.join(labels) or 'none'}",
                code=Code.NO_BOARD,
            )
        return names
    names = expand(part)
    for name in names:
        if name not in fleet.boards:
            near = difflib.get_close_matches(name, fleet.boards, n=1)
            hint = (
                f"did you mean `{near[0]}`?"
                if near
                else f"the fleet has: {', '.join(fleet.boards) or 'no boards'}"
            )
            raise UsageError(
                f"no such board in {fleet.path.name}: {name}", hint=hint, code=Code.UNKNOWN_BOARD
            )
    return names


def expand(part: str) -> list[str]:
    """`pi[08-10]` -> pi08, pi09, pi10; any other text unchanged."""
    match = RANGE.match(part)
    if not match:
        return [part]
    low, high, width = int(match["low"]), int(match["high"]), len(match["low"])
    if low > high or high - low > MAX_RANGE:
        raise UsageError(f"not a range of boards: {part}", hint="such as pi[01-20]")
    return [f"{match['head']}{number:0{width}d}{match['tail']}" for number in range(low, high + 1)]
