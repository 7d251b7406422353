"""`fleet trust`: shows the host keys of boards, asks for confirmation, and pins them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from edgewright.cli import render
from edgewright.cli.on_boards import Boards
from edgewright.cli.progress import Passwords, shown
from edgewright.cli.results.fleet import FleetTrustResult, KeyResult
from edgewright.connect import trust
from edgewright.connect.ssh.host_keys import HostKey
from edgewright.connect.transports import transport_of
from edgewright.deployments.executor import FanOut
from edgewright.errors import Code, EdgewrightError, Exit, Unreachable
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board

MAX_HOPS = 8  # at most this many jump hosts on the way to one board


class TrustOptions(Noun, frozen=True, kw_only=True):
    """The options of `fleet trust`.

    Attributes:
        yes: pin without a question.
        known_hosts: take the keys from `known_hosts` files, without contacting the boards.
        replace: replace pinned keys.
    """

    yes: bool
    known_hosts: bool
    replace: bool


def trust_boards(fleet_option: Path | None, selector: str, options: TrustOptions, *, as_json: bool) -> int:
    """Pins the keys of each board and of its jump hosts after the user confirms; returns the exit code."""
    boards = Boards(fleet_option, selector)
    with shown() as progress:
        ask = Passwords(progress)

        def first(board: Board) -> list[HostKey] | EdgewrightError:
            if options.known_hosts:
                return trust.from_known_hosts(board, boards.fleet, replace=options.replace)
            return trust.scan(board, boards.fleet, ask_password=ask, replace=options.replace)

        fan_out = FanOut(first, lambda board, error: error, progress=progress)
        found = fan_out.run(boards.boards)
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt
    rows: list[KeyResult] = []
    for board, keys in zip(boards.boards, found, strict=True):
        rows += settle(boards, board, keys, options, ask)
    if as_json:
        render.result("fleet trust", FleetTrustResult(keys=tuple(rows)), ok=all(row.ok for row in rows))
    else:
        show(rows, selector)
    return exit_code(rows)


def show(rows: Sequence[KeyResult], selector: str) -> None:
    """Prints the keys, then the hints, then what to do next."""
    render.table(
        "",
        ["board", "host", "fingerprint", ""],
        [(r.board, r.host, r.fingerprint or "-", r.message) for r in rows],
        spare=("host",),
    )
    for board, hint in dict.fromkeys((row.board, row.hint) for row in rows if row.hint):
        render.note(f"{board}: hint: {hint}")
    boards = dict.fromkeys(row.board for row in rows)
    bad = list(dict.fromkeys(row.board for row in rows if not row.ok))
    if bad:
        failed = f"{len(bad)} of {len(boards)} boards failed" if len(boards) > 1 else f"{bad[0]} failed"
        advice = (
            "follow the hints above, then run it again" if any(row.hint for row in rows) else "run it again"
        )
        render.ending(f"{failed}: {advice} for {','.join(bad[:4])}")
    else:
        render.ending(f"next: `edgewright doctor {selector}` says what they are and whether they are ready")


def exit_code(rows: Sequence[KeyResult]) -> int:
    """0 if every key is pinned, 4 if the others belong to boards that do not answer, else 2."""
    codes = {row.code for row in rows if not row.ok}
    if not codes:
        return Exit.OK
    return Exit.UNREACHABLE if codes == {Code.UNREACHABLE} else Exit.SOME_FAILED


def settle(
    boards: Boards,
    board: Board,
    keys: list[HostKey] | EdgewrightError,
    options: TrustOptions,
    ask: Passwords,
) -> list[KeyResult]:
    """Pins one board's keys, hop by hop, until its own keys are pinned."""
    if not transport_of(board).host_keys:
        return [row(board, None, "reached without SSH: it has no host key")]
    rows: list[KeyResult] = []
    for _ in range(MAX_HOPS + 1):
        if isinstance(keys, EdgewrightError):
            return [*rows, refused(board, None, keys)]
        for _, group in itertools.groupby(keys, key=lambda key: (key.host, key.jump)):
            rows += pin(boards, board, list(group), options)
            if not rows[-1].ok:
                return rows
        if not keys[-1].jump:
            return rows
        try:
            keys = trust.scan(board, boards.fleet, ask_password=ask, replace=options.replace)
        except EdgewrightError as error:
            keys = error
    return rows


def pin(boards: Boards, board: Board, keys: list[HostKey], options: TrustOptions) -> list[KeyResult]:
    """Asks for confirmation of the keys of one host and pins them; the results are in the order of the keys."""
    new = keys
    try:
        if not options.replace:
            new = trust.not_pinned(board, boards.fleet, keys)
        if new and keys[0] not in new and not (options.yes or options.known_hosts or sys.stdin.isatty()):
            return [row(board, keys[0], f"pinned already; {len(new)} more in known_hosts: --yes pins them")]
        if new and not options.yes and not asked(board, new):
            return [row(board, key, "not pinned", Code.ABORTED) for key in new]
        if new:
            trust.pin(board, boards.fleet, *keys, replace=options.replace)
    except EdgewrightError as error:
        return [refused(board, key, error) for key in new]
    pinned = "pinned, although known_hosts trusts another key" if keys[0].odd else "pinned"
    return [row(board, key, pinned if key in new else "pinned already") for key in keys]


def asked(board: Board, keys: Sequence[HostKey]) -> bool:
    """Whether the user confirms the fingerprints."""
    where = f"the jump host {keys[0].host}" if keys[0].jump else "the board"
    if not sys.stdin.isatty():
        whose = where if keys[0].jump else board.name
        raise EdgewrightError(
            f"cannot prompt to confirm the host key of {whose}: stdin is not a terminal",
            hint=f"compare it with `{listing(keys)}` on {where}, then use --yes",
            code=Code.ABORTED,
        )
    for key in keys:
        whose = where if key.jump else f"{board.name} ({key.host})"
        render.note(f"{whose} has the host key {key.fingerprint}")
    if keys[0].odd:
        render.note(f"known_hosts trusts another key of {where}: `ssh` would refuse this one")
    them = "Is that the one" if len(keys) == 1 else "Are those the ones"
    return typer.confirm(f"{them} on {where} ({listing(keys)})?", err=True)


def listing(keys: Sequence[HostKey]) -> str:
    """The command that shows the fingerprints of keys of these types on their host."""
    kinds = {"ecdsa" if key.type.startswith("ecdsa-") else key.type.removeprefix("ssh-") for key in keys}
    if len(kinds) == 1:
        return f"ssh-keygen -lf /etc/ssh/ssh_host_{kinds.pop()}_key.pub"
    return "for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done"


def refused(board: Board, key: HostKey | None, error: EdgewrightError) -> KeyResult:
    """The result for a key, or a host, that an error stopped."""
    code = Code.UNREACHABLE if isinstance(error, Unreachable) else error.code
    return row(board, key, error.message, code, error.hint)


def row(board: Board, key: HostKey | None, message: str, code: str = "", hint: str = "") -> KeyResult:
    """The result for one key; without a code it is pinned."""
    return KeyResult(
        board=board.name, host=key.host if key else board.address, fingerprint=key.fingerprint if key else "",
        ok=not code, message=message, code=code, hint=hint,
    )  # fmt: skip
