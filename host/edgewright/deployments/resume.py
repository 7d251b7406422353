"""resume: finishes a deployment whose host was killed. First asks each board what happened there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.connect.opener import Opener
from edgewright.deployments.board_record import Trace
from edgewright.deployments.board_scoring import Scoring
from edgewright.deployments.executor import PARALLEL, Stop, Turns
from edgewright.deployments.incumbent import IncumbentInterfaces
from edgewright.deployments.journal import NoJournal
from edgewright.deployments.outcomes import failed
from edgewright.deployments.shipment import Shipment, check_unchanged, shipment_of
from edgewright.deployments.task import BoardTask, Tools, run_tasks
from edgewright.errors import ArtifactError, Code, DataError, EdgewrightError, GateRefused, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.deploy_plan import DeployPlan
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.progress import Progress, silent
from edgewright.store.artifacts import ArtifactStore, load
from edgewright.store.history import History
from edgewright.store.journal import BoardRecord, DeploymentJournal, this_host, working_on
from edgewright.wire.transport import AskPassword


class ResumeRequest(Noun, frozen=True, kw_only=True):
    """What to resume.

    Attributes:
        name: the deployment's id; empty: the fleet's only unfinished one.
        take_over: the machine that began it has stopped working on it.
    """

    fleet: Fleet
    name: str = ""
    take_over: bool = False
    dry_run: bool = False
    parallel: int = PARALLEL


class Resumed(NamedTuple):
    """The resumed deployment, and its outcomes on the boards that were left."""

    name: str
    model: str
    outcomes: list[BoardOutcome]


def resume(
    request: ResumeRequest,
    *,
    history: History,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
) -> Resumed:
    """Finishes a deployment on the boards without an outcome, and on no others.

    Raises:
        EdgewrightError: nothing was done: there is no such deployment, it has no boards left, another process or machine may be working
            on it, or its plan was changed or comes from a newer version.
    """
    journal = DeploymentJournal(history)
    name = request.name or only_one(journal, request.fleet)
    plan = journal.plan(name)
    if plan.fleet != request.fleet.name:
        raise UsageError(
            f"deployment {name} is of fleet {plan.fleet}, not of {request.fleet.name}",
            hint="name its fleet file: --fleet FILE",
        )
    check_host(journal, name, request)
    with working_on(name):
        records = journal.left(plan)
        if not records:
            raise EdgewrightError(
                f"deployment {name} has ended on all of its boards",
                hint=f"`edgewright history --model {plan.model.name}` shows how",
                code=Code.NOTHING_LEFT,
            )
        if request.take_over and not request.dry_run:
            journal.take_over(name)
        with ExitStack() as stack:
            workers = stack.enter_context(Workers(home.folder("logs") / "convert.log", progress=progress))
            tools = Tools(
                Opener(request.fleet, ask_password, progress), NoJournal() if request.dry_run else journal,
                IncumbentInterfaces(history), Turns(), progress, Stop(), resuming=True,
            )  # fmt: skip
            shipments = shipments_of(plan, records, workers)
            tasks, lost = [], []
            for record in records:
                record = as_dry_run(record) if request.dry_run else record
                board = request.fleet.boards.get(record.plan.board)
                if board is None:
                    lost.append(gone(plan, record))
                else:
                    tasks.append(BoardTask(plan, record, board, shipments[record.plan.artifact], tools))
            done = run_tasks(plan, tasks, tools, request.parallel)
    done |= {outcome.board: outcome for outcome in lost}
    return Resumed(name, plan.model.name, [done[record.plan.board] for record in records])


def only_one(journal: DeploymentJournal, fleet: Fleet) -> str:
    """The id of the fleet's only unfinished deployment. Fleets may share a name, so one of its boards must be in this fleet file.

    Raises:
        UsageError: there is none, or there are several.
    """
    unfinished = journal.unfinished(fleet.name)
    found = [one for one in unfinished if not one.running and fleet.boards.keys() & set(one.boards)]
    found = [one for one in found if one.host == this_host()] or found
    if not found:
        raise UsageError(
            f"no unfinished deployment of fleet {fleet.name}",
            hint="`edgewright history` shows how they ended",
        )
    if len(found) > 1:
        names = ", ".join(f"{one.id} ({one.model} {one.version})" for one in found)
        raise UsageError(
            f"{len(found)} deployments are unfinished: {names}", hint="name one: deploy --resume ID"
        )
    return found[0].id


def check_host(journal: DeploymentJournal, name: str, request: ResumeRequest) -> None:
    """Raises EdgewrightError if another machine may be working on the deployment.

    Its lock is not visible here, and its transactions look like those of a killed process.
    """
    host = journal.host(name)
    if host != this_host() and not request.take_over:
        raise EdgewrightError(
            f"deployment {name} was begun on {host}: it may be at work on {host}",
            hint="resume it there; if it has stopped for good, add --take-over",
            code=Code.OTHER_HOST,
        )


def shipments_of(
    plan: DeployPlan, records: Sequence[BoardRecord], workers: Workers
) -> dict[str, Shipment | EdgewrightError]:
    """What to send, by artifact id, or why it cannot be sent any more: an error refuses only the boards that need it."""
    found: dict[str, Shipment | EdgewrightError] = {}
    for artifact in {record.plan.artifact for record in records}:
        try:
            found[artifact] = same_again(plan, artifact, records, workers)
        except EdgewrightError as error:
            found[artifact] = error
    return found


def same_again(plan: DeployPlan, artifact: str, records: Sequence[BoardRecord], workers: Workers) -> Shipment:
    """Loads a shipment again, exactly as planned.

    Raises:
        EdgewrightError: the artifact, a hook, a wheel, the evaluation set or the metric is gone or was changed.
    """
    hooks = [hook for record in records for hook in record.plan.order.hooks.values()]
    for file in {file.path: file for file in (*plan.wheels, *hooks)}.values():
        check_unchanged(file)
    shipment = shipment_of(plan.model, stored(plan, artifact), workers, converted=plan.converted)
    if shipment.scoring is not None:
        check_scoring(plan, shipment.scoring)
    return shipment


def check_scoring(plan: DeployPlan, scoring: Scoring) -> None:
    """Raises DataError if the evaluation set or the metric is not the plan's any more."""
    changed = ["the evaluation set"] if scoring.sha256 != plan.evaluation_sha256 else []
    if plan.metric_sha256 is not UNSET and scoring.metric_sha256 != plan.metric_sha256:
        changed.append(f"the metric {Path(plan.model.metric).name}")
    if changed:
        raise DataError(
            f"{' and '.join(changed)} changed since the deployment began",
            hint="put back what was there and resume, or deploy again",
            code=Code.DATA_CHANGED,
        )


def stored(plan: DeployPlan, artifact: str) -> Artifact:
    """The artifact with this id, from the store or the folder that it was deployed from.

    Raises:
        ArtifactError: it is gone or was changed.
    """
    try:
        return ArtifactStore(home.folder("artifacts")).get(artifact)
    except ArtifactError as error:
        try:
            found = None if plan.converted else load(plan.model.source)
        except (ArtifactError, OSError):
            found = None
        if found is None or found.id != artifact:
            raise ArtifactError(
                f"artifact {artifact[:12]} is gone or was changed: {error.message}",
                hint="put it back and resume, or deploy again",
            ) from error
        return found


def as_dry_run(record: BoardRecord) -> BoardRecord:
    """The same board as a dry run."""
    order = record.plan.order
    order = msgspec.structs.replace(order, policy=msgspec.structs.replace(order.policy, dry_run=True))
    return msgspec.structs.replace(record, plan=msgspec.structs.replace(record.plan, order=order))


def gone(plan: DeployPlan, record: BoardRecord) -> BoardOutcome:
    """The outcome of a board that is no longer in the fleet file; the journal keeps the board open."""
    trace, entry = Trace(), record.plan
    trace.deployment, trace.release = plan.id, entry.release
    error = GateRefused(
        f"{entry.board} is not in the fleet any more",
        hint="add it and resume, or deploy to another board",
        code=Code.NOT_FOUND,
    )
    return failed(Board(name=entry.board, address=""), entry.order.model, error, trace)
