"""PlannedDeployment: a deployment that is planned but not begun, and `carry_out`, which begins it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.connect.opener import Opener
from edgewright.deployments.executor import PARALLEL, Stop, Turns
from edgewright.deployments.incumbent import IncumbentInterfaces
from edgewright.deployments.journal import NoJournal
from edgewright.deployments.outcomes import recorded
from edgewright.deployments.resume import as_dry_run, shipments_of
from edgewright.deployments.shipment import Shipment, check_unchanged
from edgewright.deployments.task import BoardTask, Tools, run_tasks
from edgewright.errors import Code, EdgewrightError, UsageError
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.deploy_plan import DeployPlan
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.progress import Progress
from edgewright.store.history import History
from edgewright.store.journal import BoardRecord, DeploymentJournal, working_on

Shipments = Mapping[str, Shipment | EdgewrightError]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """State from planning that helps the same process and is not passed on to another.

    Attributes:
        shipments: what to send, by artifact id.
        logins: board -> prompt -> the answer that worked, as in `Opener`.
        history: the open history; opening it and compiling its queries takes longer than running them.
    """

    shipments: Shipments = field(default_factory=dict)
    logins: Mapping[str, dict[str, str]] = field(default_factory=dict)
    history: History | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedDeployment:
    """A deployment that is ready to begin. It can be pickled and begun in another process on this machine.

    Attributes:
        fleet: the boards' fleet. boards: the requested boards, in the order of the outcomes.
        plan: what to do on which board.
        refused: the boards that cannot be in the plan, and why.
        default_precision: names of the boards for which no precision was requested.
        numbered: the version was assigned: the next number, or the one that the artifacts had before.
        dry_run: boards are asked but not changed.
    """

    fleet: Fleet
    boards: tuple[Board, ...]
    plan: DeployPlan
    refused: tuple[BoardOutcome, ...] = ()
    default_precision: frozenset[str] = frozenset()
    numbered: bool = False
    dry_run: bool = False
    kept: Kept | None = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The deployment's id in the journal, which a resume names."""
        return self.plan.id

    @property
    def model(self) -> str:
        """The model's name on the boards."""
        return self.plan.model.name

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"kept": None}

    def as_dry_run(self) -> PlannedDeployment:
        """The same deployment as a dry run."""
        return replace(self, dry_run=True)


def carry_out(
    planned: PlannedDeployment, opener: Opener, history: History, progress: Progress, parallel: int = PARALLEL
) -> list[BoardOutcome]:
    """Releases to the boards of a plan; returns the outcomes in the order of `planned.boards`.

    Raises:
        UsageError: the deployment was already begun. EdgewrightError: another artifact took its number, the journal cannot be
            written, or another process is carrying it out.
    """
    done = released(planned, opener, history, progress, parallel) if planned.plan.boards else {}
    lost = list(planned.refused)
    if lost and not planned.dry_run:
        lost = recorded(history, "deploy", planned.fleet.name, planned.plan.version, lost)
    done |= {outcome.board: outcome for outcome in lost}
    return [done[board.name] for board in planned.boards]


def released(
    planned: PlannedDeployment, opener: Opener, history: History, progress: Progress, parallel: int
) -> dict[str, BoardOutcome]:
    """Releases to the boards in the plan; records each outcome as it happens, and returns them by board."""
    plan, journal = planned.plan, DeploymentJournal(history)
    shipments = shipments_for(planned, progress)
    tools = Tools(
        opener, NoJournal() if planned.dry_run else journal, IncumbentInterfaces(history), Turns(), progress, Stop(),
    )  # fmt: skip
    boards = {board.name: board for board in planned.boards}
    tasks = []
    for entry in plan.boards:
        record = BoardRecord(plan=entry)
        tasks.append(BoardTask(
            plan, as_dry_run(record) if planned.dry_run else record, boards[entry.board], shipments[entry.artifact],
            tools._replace(precision_asked=entry.board not in planned.default_precision),
        ))  # fmt: skip
    if planned.dry_run and planned.numbered:
        journal.forecast(plan)
    with nullcontext() if planned.dry_run else working_on(plan.id):
        if not planned.dry_run and journal.host(plan.id):
            raise UsageError(
                f"deployment {plan.id} was begun already",
                hint="plan it again; if boards are left, resume it",
                code=Code.CONFLICT,
            )
        tools.journal.begin(plan, numbered=planned.numbered)
        return run_tasks(plan, tasks, tools, parallel)


def shipments_for(planned: PlannedDeployment, progress: Progress) -> Shipments:
    """What to send: the shipments from planning, or in another process the same ones loaded again.

    Raises:
        DataError: a wheel was changed since planning. A changed hook is refused later, on its board.
    """
    if planned.kept is not None:
        for wheel in planned.plan.wheels:
            check_unchanged(wheel)
        return planned.kept.shipments
    records = [BoardRecord(plan=entry) for entry in planned.plan.boards]
    with Workers(home.folder("logs") / "convert.log", progress=progress) as workers:
        return shipments_of(planned.plan, records, workers)
