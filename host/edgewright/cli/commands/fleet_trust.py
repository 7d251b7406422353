"""`fleet trust`: shows the host keys of boards, asks for confirmation, and pins them."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from edgewright.cli import render
from edgewright.cli.on_boards import Boards
from edgewright.cli.progress import Passwords, shown
from edgewright.cli.results.fleet import FleetTrustResult, KeyResult
from edgewright.connect import trust
from edgewright.connect.ssh.host_keys import HostKey
from edgewright.deploy.executor import FanOut
from edgewright.errors import Code, EdgewrightError, Exit, Unreachable
from edgewright.nouns.board import Board

MAX_HOPS = 8  # jump hosts on the way to one board


def trust_boards(
    fleet_option: Path | None, selector: str, *, yes: bool, known_hosts: bool, replace: bool, as_json: bool
) -> int:
    """Pins each board's key (and its jump hosts') after the user's yes; returns the exit code."""
    boards = Boards(fleet_option, selector)
    with shown() as progress:
        ask = Passwords(progress)

        def first(board: Board) -> list[HostKey] | EdgewrightError:
            if known_hosts:
                return trust.from_known_hosts(board)
            return trust.scan(board, boards.fleet, ask_password=ask)

        fan_out = FanOut(first, lambda board, error: error, progress=progress)
        found = fan_out.run(boards.boards)
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt
    rows: list[KeyResult] = []
    for board, keys in zip(boards.boards, found, strict=True):
        rows += settle(boards, board, keys, yes=yes, known_hosts=known_hosts, replace=replace, ask=ask)
    if as_json:
        render.result("fleet trust", FleetTrustResult(keys=tuple(rows)), ok=all(row.ok for row in rows))
    else:
        render.table(
            "",
            ["board", "host", "fingerprint", ""],
            [(r.board, r.host, r.fingerprint or "-", r.message) for r in rows],
        )
    if all(row.ok for row in rows):
        return Exit.OK
    return (
        Exit.UNREACHABLE if all(row.ok or row.code == Code.UNREACHABLE for row in rows) else Exit.SOME_FAILED
    )


def settle(
    boards: Boards,
    board: Board,
    keys: list[HostKey] | EdgewrightError,
    *,
    yes: bool,
    known_hosts: bool,
    replace: bool,
    ask: Passwords,
) -> list[KeyResult]:
    """One board's keys, hop by hop until its own is pinned."""
    rows: list[KeyResult] = []
    for _ in range(MAX_HOPS):
        if isinstance(keys, EdgewrightError):
            return [
                *rows,
                row(
                    board,
                    None,
                    False,
                    keys.message,
                    Code.UNREACHABLE if isinstance(keys, Unreachable) else keys.code,
                ),
            ]
        if not keys:
            return [*rows, row(board, None, False, "no key of it in ~/.ssh/known_hosts", Code.NOT_FOUND)]
        for key in keys:
            rows.append(pin(boards, board, key, yes=yes, replace=replace))
            if not rows[-1].ok or not key.jump:
                return rows
        if known_hosts:
            return rows
        try:
            keys = trust.scan(board, boards.fleet, ask_password=ask)
        except EdgewrightError as error:
            keys = error
    return rows


def pin(boards: Boards, board: Board, key: HostKey, *, yes: bool, replace: bool) -> KeyResult:
    """Asks about one key and pins it."""
    try:
        if not yes and not asked(board, key):
            return row(board, key, False, "not pinned", "aborted")
        trust.pin(board, boards.fleet, key, replace=replace)
        return row(board, key, True, "pinned", "")
    except EdgewrightError as error:
        return row(board, key, False, f"{error.message}; {error.hint}", error.code)


def asked(board: Board, key: HostKey) -> bool:
    """Whether a person confirms the fingerprint."""
    if not sys.stdin.isatty():
        raise EdgewrightError(
            f"cannot prompt to confirm {key.fingerprint} of {board.name}: stdin is not a terminal",
            hint="compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the board, then use --yes",
            code=Code.ABORTED,
        )
    render.note(f"{board.name} ({key.host}) has the host key {key.fingerprint}")
    return typer.confirm(
        "Is that the one on the board (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)?", err=True
    )


def row(board: Board, key: HostKey | None, ok: bool, message: str, code: str) -> KeyResult:
    """One line of the answer."""
    return KeyResult(
        board=board.name, host=key.host if key else board.address, fingerprint=key.fingerprint if key else "",
        ok=ok, message=message, code=code,
    )  # fmt: skip
