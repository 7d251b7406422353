"""Results of `fleet` that come from the fleet's files."""

from __future__ import annotations

from pathlib import Path

from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Pin


class FleetAddResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet add`. `changed`: the board was already in the file."""

    path: Path
    board: Board
    changed: bool


class ListedBoard(Noun, frozen=True, kw_only=True):
    """A board of the fleet file. `trusted`: its host key is pinned."""

    board: Board
    trusted: bool


class FleetListResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet list`."""

    fleet: str
    path: Path
    boards: tuple[ListedBoard, ...]


class ShownBoard(Noun, frozen=True, kw_only=True):
    """A board with the fleet's defaults filled in, and its pin."""

    board: Board
    pin: Pin | None


class FleetShowResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet show`."""

    boards: tuple[ShownBoard, ...]


class KeyResult(Noun, frozen=True, kw_only=True):
    """A host key to pin, and the result.

    Attributes:
        host: `address:port` of the board, or of a jump host on the way to it.
        fingerprint: empty if no key was read.
        ok: the key is pinned.
        message, code: what happened; the code is empty if it is pinned.
        hint: what to do about it; empty if there is nothing to do.
    """

    board: str
    host: str
    fingerprint: str
    ok: bool
    message: str
    code: str
    hint: str = ""


class FleetTrustResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet trust`."""

    keys: tuple[KeyResult, ...]


class FleetRemoveResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet remove`: names of boards; a board that could not be purged is kept."""

    removed_boards: tuple[str, ...]
    kept_boards: tuple[str, ...]


class FleetAgentResult(Noun, frozen=True, kw_only=True):
    """`edgewright fleet agent`. `runners`: target -> sha256 of the runner in the file."""

    path: Path
    sha256: str
    bytes: int
    runners: dict[str, str]
