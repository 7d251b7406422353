"""bench: latency and memory of models on boards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgewright.api.answer import Answer
from edgewright.api.arguments import several
from edgewright.api.on_boards import PARALLEL, on_boards
from edgewright.api.results import BenchResult, BoardMeasurements
from edgewright.deployments.bench import Bench, BenchRequest
from edgewright.errors import EdgewrightError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Fleet
from edgewright.nouns.document import ErrorReport, report
from edgewright.nouns.measurement import STANDARD, Measurement, Protocol
from edgewright.nouns.progress import Progress
from edgewright.store.history import History
from edgewright.wire.transport import AskPassword


def bench(
    fleet: Fleet,
    model: str | Artifact | Sequence[Artifact],
    *,
    releases: Sequence[str] = (),
    protocol: Protocol = STANDARD,
    threads: int | None = None,
    accelerator: str | None = None,
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
    early: Callable[[BenchResult], None] | None = None,
) -> BenchResult:
    """Measures a model on the boards of a fleet, and records the measurements in the history.

    Args:
        model: its name on the boards; or artifacts, which are measured interleaved and removed afterwards.
        releases: releases or versions to measure instead of `current`; several are interleaved.
        protocol: `STANDARD` (60 s per board) or `QUICK` (15 s).
        threads: threads of the runtime; None: the profile's number.
        accelerator: refuse boards that lack it or do not use it.
        parallel, ask_password, progress, early: as for `status`.

    Returns:
        An answer for each board, or its error: a board's failure never raises.

    Raises:
        UsageError: `releases` was given with artifacts; there is no artifact, or one is given twice.
    """
    if not isinstance(protocol, Protocol):
        raise TypeError(f"not a Protocol, such as edgewright.QUICK: {protocol!r}")
    artifacts = () if isinstance(model, str) else artifacts_of(model, releases)
    run = Bench(BenchRequest(
        model=model if isinstance(model, str) else f"bench-{artifacts[0].id[:8]}", artifacts=artifacts,
        releases=several(releases), protocol=protocol, threads=threads, accelerator=accelerator,
    ))  # fmt: skip

    def part(
        answers: Sequence[Answer[list[Measurement]]], not_kept: ErrorReport | None = None
    ) -> BenchResult:
        measured = (
            answer.record(lambda found: BoardMeasurements(measurements=tuple(found))) for answer in answers
        )
        return BenchResult(boards=tuple(measured), not_kept=not_kept)

    answers = on_boards(
        fleet, "bench", run.on_board, parallel=parallel, ask_password=ask_password, progress=progress,
        early=None if early is None else lambda found: early(part(found)),
    )  # fmt: skip
    not_kept = None
    try:
        History().record_measurements(fleet.name, [one for answer in answers for one in answer.value or ()])
    except EdgewrightError as error:  # the measurements are still returned
        not_kept = report(error)
    return part(answers, not_kept)


def artifacts_of(given: Artifact | Sequence[Artifact], releases: Sequence[str]) -> tuple[Artifact, ...]:
    """The artifacts to measure.

    Raises:
        UsageError: there is no artifact, one is given twice, or `releases` was given too.
    """
    found = (given,) if isinstance(given, Artifact) else tuple(given)
    ids = [one.id for one in found]
    if not found:
        raise UsageError("nothing to measure", hint="name a model on the boards, or artifacts")
    if releases:
        raise UsageError(
            f"{ids[0][:12]} is an artifact, which is measured by itself: --release",
            hint="leave --release out, or name the model on the boards in place of the artifact",
        )
    for one in ids:
        if ids.count(one) > 1:
            raise UsageError(
                f"the artifact {one[:12]} was named twice", hint="two names can be of one: leave one out"
            )
    return found
