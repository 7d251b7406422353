"""`fleet add`: adds a board to the fleet file, or changes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgewright.cli import render
from edgewright.cli.results.fleet import FleetAddResult
from edgewright.config import fleet as fleets
from edgewright.config import profiles
from edgewright.config import trust as trusts
from edgewright.connect import trust
from edgewright.connect.transports import transport_of
from edgewright.errors import UsageError
from edgewright.nouns.board import Board, BoardEntry


def add_board(
    path: Path,
    name: str,
    given: Mapping[str, Any],
    *,
    labels: Sequence[str],
    without: Sequence[str],
    as_json: bool,
) -> None:
    """Changes the fleet file and prints what changed.

    Args:
        given: values of a `BoardEntry`; values that are left out stay.
        labels: labels to add. without: labels to remove.

    Raises:
        UsageError: a new board without an address.
    """
    if (profile := given.get("profile")) is not None:
        profiles.load(profile)
    before = None
    with fleets.changing(path) as file:
        old = file.boards.get(name)
        if old is None and "address" not in given:
            raise UsageError(
                f"{name} is not in {path.name}: a new board needs an address",
                hint=f"such as `edgewright fleet add {name} pi@192.0.2.7`",
            )
        if old is not None:
            before = fleets.board(name, old, file.defaults, path)
        kept = [*(old.labels if old else ()), *labels]
        entry = msgspec.structs.replace(
            old or BoardEntry(),
            **given,
            labels=tuple(label for label in dict.fromkeys(kept) if label not in without),
        )
        board = fleets.board(name, entry, file.defaults, path)
        file.boards[name] = entry
    loaded = fleets.load(path)
    moved = before is not None and before.root != board.root
    if moved:  # a board has a separate id in each root folder
        trust.forget_identity(board, loaded)
    if as_json:
        render.result("fleet add", FleetAddResult(path=path, board=board, changed=before is not None))
        return
    render.line(changed(before, board, path))
    if moved and before is not None:
        render.line(
            f"{before.root} stays on {name} as it is, with all models, runtimes and what `current` points to:"
            f" applications that read it go on, edgewright looks at {board.root} only"
        )
        render.ending(f"next: deploy to {name} again; `rm -r {before.root}` on the board removes what stayed")
    elif name in trusts.load(loaded).boards:
        render.ending(f"its host key is pinned: `edgewright doctor {name}` says whether it is ready")
    elif not transport_of(board).host_keys:
        render.ending(f"next: `edgewright doctor {name}` says whether it is ready")
    else:
        render.ending(f"next: `edgewright fleet trust {name}` pins its host key")


def changed(before: Board | None, board: Board, path: Path) -> str:
    """Prints what the fleet file contains now."""
    if before is None:
        return f"added {board.name} to {path}"
    keys = [key for key in board.__struct_fields__ if getattr(board, key) != getattr(before, key)]
    if not keys:
        return f"{board.name} is in {path} as it was"
    return (
        f"changed {board.name} in {path}: {', '.join(f'{key} {shown(getattr(board, key))}' for key in keys)}"
    )


def shown(value: object) -> str:
    """A value of the fleet file, for people."""
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)
