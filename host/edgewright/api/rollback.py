"""rollback: reactivates a known-good release."""

from __future__ import annotations

from edgewright.api.arguments import boards_of
from edgewright.api.callbacks import guarded, one_at_a_time
from edgewright.api.on_boards import PARALLEL
from edgewright.api.results import RollbackResult
from edgewright.deployments import rollback as rollbacks
from edgewright.nouns.board import Fleet
from edgewright.nouns.progress import Progress
from edgewright.store.history import History
from edgewright.wire.transport import AskPassword


def rollback(
    fleet: Fleet,
    model: str,
    *,
    to: str | None = None,
    unguarded: bool = False,
    threads: int | None = None,
    accelerator: str | None = None,
    dry_run: bool = False,
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
) -> RollbackResult:
    """Reactivates a known-good release of a model on the boards of a fleet, after each board has verified it.

    Args:
        model: its name on the boards.
        to: version or release; None: the known-good one before `current`.
        unguarded: accept boards where nothing ends a trial after a reboot.
        threads: threads for verifying the release; None: the profile's number, or 1 if no profile fits the board.
        accelerator: refuse boards that lack it or do not use it.
        dry_run: ask each board what would happen, and change nothing.
        parallel, ask_password, progress: as for `status`.

    Returns:
        An outcome for each board: a board's failure never raises.
    """
    request = rollbacks.RollbackRequest(
        fleet=fleet, boards=boards_of(fleet), model=model, to=to, threads=threads, accelerator=accelerator,
        unguarded=unguarded, dry_run=dry_run, parallel=parallel,
    )  # fmt: skip
    outcomes = rollbacks.rollback(
        request, history=History(), ask_password=one_at_a_time(ask_password), progress=guarded(progress)
    )
    return RollbackResult(model=model, outcomes=tuple(outcomes))
