"""Outcome: how a deployment or a rollback ended on one board."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.errors import Exit
from edgewright.nouns.base import Noun
from edgewright.nouns.interface import Interface
from edgewright.nouns.measurement import Measurement

# Outcomes of a rollout, and two for a deployment that stops early on purpose.
COMMITTED = "committed"
UNCHANGED = "unchanged"
REFUSED = "refused"
FAILED = "failed"
REVERTED = "reverted"
UNREACHABLE = "unreachable"
UNKNOWN = "unknown"
STAGED = "staged"  # verified and measured, `current` untouched (`--stage`)
PLANNED = "planned"  # would be done (`--dry-run`)
UNFINISHED = "unfinished"  # its host was stopped, or is still working on it
ABORTED = "aborted"  # stopped by the user before the board's `current` was touched

GOOD = frozenset({COMMITTED, UNCHANGED, STAGED, PLANNED})


class Check(Noun, frozen=True, kw_only=True):
    """One line of the gate: what was checked, and the result.

    Attributes:
        ok: False refuses the release.
        value, limit: in `unit`; None if unknown or not limited.
        note: a remark for people.
        metric: the metric of an accuracy check.
        measured, reference: what `value` compares, such as the metric of the candidate and of its source, or
            both medians in ms. None if there are no such figures.
        n: number of samples of an accuracy drop.
        low, high: 95 % interval of the drop.
        p: for the hypothesis that there is no drop.
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
    """The result on one board.

    Attributes:
        release: the requested release.
        current: the release that the application reads now; empty if there is none.
        code, message, hint: the error, or the gate's refusal.
        interface: the release's inputs and outputs, which the next release is compared with.
        measurement, incumbent: measurements of the candidate, and of the release that it was compared with.
        steps: what was done, in order, for `--dry-run` and the log.
        sent_bytes: bytes uploaded to the board.
        simulated: facts of the board that were substituted.
        board_id: the id of the board that answered.
        deployment: the deployment's id in the journal.
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


def exit_code(outcomes: Sequence[BoardOutcome]) -> Exit:
    """Exit code of a command over several boards: failures take precedence over unreachable boards."""
    kinds = {outcome.outcome for outcome in outcomes}
    if kinds - GOOD - {UNREACHABLE, ABORTED}:
        return Exit.SOME_FAILED
    if ABORTED in kinds:
        return Exit.ABORTED
    return Exit.UNREACHABLE if UNREACHABLE in kinds else Exit.OK
