"""Outcome: how a deployment or a rollback ended on one board."""

from __future__ import annotations

from edgewright.errors import Exit
from edgewright.nouns.base import Noun
from edgewright.nouns.interface import Interface
from edgewright.nouns.measurement import Measurement

# Words of BOARD.md's rollouts, and two for a deployment that stops early on purpose.
COMMITTED = "committed"
UNCHANGED = "unchanged"
REFUSED = "refused"
FAILED = "failed"
REVERTED = "reverted"
UNREACHABLE = "unreachable"
UNKNOWN = "unknown"
STAGED = "staged"  # verified and measured, `current` untouched (`--stage`)
PLANNED = "planned"  # what would be done (`--dry-run`)
UNFINISHED = "unfinished"  # its host was stopped, or is still at work
ABORTED = "aborted"  # stopped by the user before the board's `current` was touched

GOOD = frozenset({COMMITTED, UNCHANGED, STAGED, PLANNED})


class Check(Noun, frozen=True, kw_only=True):
    """One line of the gate: what was asked, what was seen.

    Attributes:
        ok: False refuses the release.
        value, limit: in `unit`; None where unknown or not limited.
        note: what a person should know about it.
        metric: of an accuracy; measured, reference: what `value` compares, such as the metric of the candidate and of its source, or
            both medians in ms. None where there is no such figure.
        n: samples that a drop was seen on; low, high: its 95 % interval; p: of the hypothesis that there is none.
    """

    name: str
    ok: bool
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    note: str = ""
    metric: str = ""
    measured: float | None = None
    reference: float | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


class BoardOutcome(Noun, frozen=True, kw_only=True):
    """How it ended on one board.

    Attributes:
        release: the release that was asked for; `current` what the application reads now, empty if none.
        code, message, hint: the error, or the gate's refusal.
        interface: the release's inputs and outputs: the next one is compared with them.
        measurement, incumbent: the candidate and what it was measured against.
        steps: what was done, in order, for `--dry-run` and the log.
        sent_bytes: bytes uploaded to the board.
        simulated: facts of the board that were substituted.
        board_id: the id of the board that answered. deployment: the journal's id of it.
    """

    board: str
    outcome: str
    model: str = ""
    release: str = ""
    current: str = ""
    profile: str = ""
    target: str = ""
    precision: str = ""
    artifact: str = ""
    runtime: str = ""
    code: str = ""
    message: str = ""
    hint: str = ""
    guard: str = ""
    checks: tuple[Check, ...] = ()
    interface: Interface | None = None
    measurement: Measurement | None = None
    incumbent: Measurement | None = None
    steps: tuple[str, ...] = ()
    sent_bytes: int = 0
    seconds: float = 0.0
    simulated: tuple[str, ...] = ()
    board_id: str = ""
    deployment: str = ""


def exit_code(outcomes: list[BoardOutcome]) -> Exit:
    """Exit code of a command over boards: failures weigh more than boards that are away."""
    kinds = {outcome.outcome for outcome in outcomes}
    if kinds - GOOD - {UNREACHABLE, ABORTED}:
        return Exit.SOME_FAILED
    if ABORTED in kinds:
        return Exit.ABORTED
    return Exit.UNREACHABLE if UNREACHABLE in kinds else Exit.OK
