"""The journal: the plan of each deployment and its outcome on each board, in the history's database.

It is written before a board is touched and at every outcome, so that another run can finish the deployment if this host is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.config import home
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns import deploy_plan
from edgewright.nouns.base import Noun
from edgewright.nouns.deploy_plan import BoardPlan, DeployPlan
from edgewright.nouns.outcome import COMMITTED, UNCHANGED, UNFINISHED, UNKNOWN, BoardOutcome
from edgewright.store.history import History

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

PLANNED, BEGUN, ENDED = "planned", "begun", "ended"
_ATTEMPTS, _PAUSE_S = 4, 0.1  # `status` also holds the lock for a moment


class BoardRecord(Noun, frozen=True, kw_only=True):
    """The journal's record of one board.

    Attributes:
        state: `planned`: not touched yet; `begun`: possibly touched, under the transaction `txn`; `ended`.
        superseded: a later deployment or rollback of the model succeeded on this board.
    """

    plan: BoardPlan
    state: str = PLANNED
    txn: str = ""
    superseded: bool = False


class Unfinished(Noun, frozen=True, kw_only=True):
    """A deployment that has not ended on some boards.

    Attributes:
        at: when it began, ISO 8601, UTC.
        host: the machine that began it, or took it over.
        boards: the boards that are left.
        running: a process on this machine is working on it.
    """

    id: str
    at: str
    model: str
    version: str
    host: str
    boards: tuple[str, ...]
    running: bool


class DeploymentJournal:
    """The journal in a history's database. Its tables are created when the first deployment is written."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._deployments, self._boards = history.journal_tables

    def begin(self, plan: DeployPlan, *, numbered: bool = False) -> None:
        """Records a plan before any of its boards is touched; from then on each board has a row in the history.

        Args:
            numbered: nobody named the version.

        Raises:
            EdgewrightError: `conflict`: another deployment took the number since, for another artifact.
        """
        document, now = deploy_plan.canonical(plan), datetime.now(UTC)
        with self._history.writing(self._deployments, self._boards) as connection:
            connection.execute(self._deployments.insert().values(
                id=plan.id, at=now, fleet=plan.fleet, model=plan.model.name, version=plan.version, host=plan.host,
                plan=document.decode(), sha256=deploy_plan.digest(document),
            ))  # fmt: skip
            for entry in plan.boards:
                outcome = BoardOutcome(
                    board=entry.board, outcome=UNFINISHED, model=entry.order.model, release=entry.release,
                    profile=entry.profile, artifact=entry.artifact, deployment=plan.id,
                )  # fmt: skip
                event = self._history.add_event(connection, "deploy", plan.fleet, plan.version, outcome)
                connection.execute(
                    self._boards.insert().values(
                        deployment=plan.id,
                        board=entry.board,
                        state=PLANNED,
                        event=event,
                        **_document(plan.id, entry),
                    )
                )
            if numbered:  # after the first write, which keeps other writers out
                self._check_number(connection, plan)

    def forecast(self, plan: DeployPlan) -> None:
        """Raises what `begin` would raise for a plan whose version was assigned. Records nothing."""
        with self._history.reading(self._history.events_table) as connection:
            if connection is not None:
                self._check_number(connection, plan)

    def _check_number(self, connection: Connection, plan: DeployPlan) -> None:
        artifacts = {one.artifact for one in plan.boards}
        self._history.check_number(connection, plan.fleet, plan.model.name, plan.version, artifacts)

    def begun(self, plan: DeployPlan, entry: BoardPlan, txn: str) -> None:
        """Records a board's answer, and the transaction that is about to change it."""
        with self._history.writing() as connection:
            where = (self._boards.c.deployment == plan.id, self._boards.c.board == entry.board)
            row = connection.execute(self._boards.select().where(*where)).one()
            self._history.begin_event(connection, row.event)
            connection.execute(
                self._boards.update().where(*where).values(state=BEGUN, txn=txn, **_document(plan.id, entry))
            )

    def ended(self, plan: DeployPlan, outcome: BoardOutcome) -> None:
        """Records the outcome on a board, also in the history. A board with an unknown outcome remains to be asked."""
        state = BEGUN if outcome.outcome == UNKNOWN else ENDED
        with self._history.writing() as connection:
            where = (self._boards.c.deployment == plan.id, self._boards.c.board == outcome.board)
            row = connection.execute(self._boards.select().where(*where)).one()
            if (
                row.state == ENDED and state != ENDED
            ):  # the board's thread ended before the run that stopped waiting for it
                return
            values = {"state": state} if state == ENDED or row.txn else {}
            if values:
                connection.execute(self._boards.update().where(*where).values(**values))
            self._history.end_event(connection, row.event, plan.fleet, outcome)

    def plan(self, name: str) -> DeployPlan:
        """The plan of a deployment.

        Raises:
            EdgewrightError: `not-found`; `newer-schema` or `plan-changed`: another version wrote it, or someone edited it.
        """
        with self._history.reading(self._deployments) as connection:
            row = None
            if connection is not None:
                query = self._deployments.select().where(self._deployments.c.id == name)
                row = connection.execute(query).one_or_none()
        if row is None:
            raise EdgewrightError(
                f"no such deployment: {name}",
                hint="`edgewright status` lists unfinished ones",
                code=Code.NOT_FOUND,
            )
        found = deploy_plan.plan_from(row.plan.encode(), row.sha256)
        if found.id != name:
            raise _changed(name)
        return found

    def host(self, name: str) -> str:
        """The machine that a deployment belongs to; empty if there is no such deployment."""
        from sqlalchemy import select

        table = self._deployments
        with self._history.reading(table) as connection:
            query = select(table.c.host).where(table.c.id == name)
            return "" if connection is None else connection.execute(query).scalar() or ""

    def take_over(self, name: str) -> None:
        """Assigns a deployment to this machine."""
        table = self._deployments
        with self._history.writing() as connection:
            connection.execute(table.update().where(table.c.id == name).values(host=this_host()))

    def left(self, plan: DeployPlan) -> list[BoardRecord]:
        """The boards on which a deployment has not ended, in the plan's order.

        Raises:
            EdgewrightError: as `plan`, for a board's part of it.
        """
        found: dict[str, BoardRecord] = {}
        with self._history.reading(self._boards) as connection:
            query = self._left().where(self._boards.c.deployment == plan.id)
            for row in () if connection is None else connection.execute(query):
                entry = _entry(plan.id, row)
                if entry.board != row.board:
                    raise _changed(plan.id)
                found[row.board] = BoardRecord(
                    plan=entry, state=row.state, txn=row.txn, superseded=bool(row.superseded)
                )
        return [found[entry.board] for entry in plan.boards if entry.board in found]

    def unfinished(self, fleet: str | None) -> list[Unfinished]:
        """The deployments of a fleet (None for all) that have not ended on some boards, oldest first; superseded boards do not count."""
        table = self._deployments
        found: dict[str, tuple[Row[Any], list[str]]] = {}
        with self._history.reading(table, self._boards) as connection:
            query = self._left()
            if fleet is not None:
                query = query.where(table.c.fleet == fleet)
            for row in () if connection is None else connection.execute(query):
                if not row.superseded:
                    found.setdefault(row.deployment, (row, []))[1].append(row.board)
        return [
            Unfinished(
                id=name, at=(row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)).isoformat(timespec="seconds"),
                model=row.model, version=row.version, host=row.host, boards=tuple(boards), running=at_work(name),
            )
            for name, (row, boards) in found.items()
        ]  # fmt: skip

    def _left(self) -> Select[Any]:
        """The boards that have not ended, with their deployments, and whether a later event of the model succeeded on each."""
        from sqlalchemy import and_, or_, select

        table, boards, events = self._deployments, self._boards, self._history.events_table
        own = events.alias()
        later = select(events.c.id).where(
            events.c.fleet == table.c.fleet, events.c.board == boards.c.board, events.c.model == table.c.model,
            events.c.outcome.in_((COMMITTED, UNCHANGED)), own.c.id == boards.c.event, events.c.id != own.c.id,
            # another deployment that began before may have ended after, and one that began after may have ended before
            # this one began on the board; where this one did not begin there, whatever began after is later
            or_(
                events.c.at > own.c.at, and_(events.c.at == own.c.at, events.c.id > own.c.id),
                and_(boards.c.state == PLANNED, events.c.id > own.c.id),
            ),
        )  # fmt: skip
        of_deployment = [table.c[name] for name in ("at", "model", "version", "host")]
        return (
            select(boards, *of_deployment, later.exists().label("superseded"))
            .join(table, table.c.id == boards.c.deployment)
            .where(boards.c.state != ENDED)
            .order_by(boards.c.id)
        )


def this_host() -> str:
    """The name of this machine in a plan and in the journal."""
    return platform.node() or "unknown"


def _document(name: str, entry: BoardPlan) -> dict[str, str]:
    """A board's part of a plan, and its hash, which ties it to the plan."""
    document = deploy_plan.canonical(entry)
    return {"plan": document.decode(), "sha256": deploy_plan.digest(document + name.encode())}


def _entry(name: str, row: Row[Any]) -> BoardPlan:
    document = row.plan.encode()
    if deploy_plan.digest(document + name.encode()) != row.sha256:
        raise _changed(name)
    return deploy_plan.board_from(document, deploy_plan.digest(document))


def _changed(name: str) -> EdgewrightError:
    return EdgewrightError(
        f"the plan of deployment {name} was changed: its hash does not fit",
        hint="it cannot be resumed: deploy again",
        code=Code.PLAN_CHANGED,
    )


def _lock(name: str) -> Path:
    return home.home() / "deployments" / f"{name}.lock"


@contextlib.contextmanager
def working_on(name: str) -> Iterator[None]:
    """Marks a deployment as being worked on, as long as this process lives.

    Raises:
        EdgewrightError: another process is working on it.
    """
    home.folder("deployments")
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        descriptor = os.open(_lock(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _locked(descriptor):
                continue
            try:
                yield
            finally:
                _lock(name).unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)
    raise EdgewrightError(
        f"deployment {name} is at work in another process",
        hint="wait until it has ended, or stop that process",
        code=Code.DEPLOYMENT_RUNNING,
    )


def _locked(descriptor: int) -> bool:
    """Locks the file; returns False if another process holds it, or removed it meanwhile."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def at_work(name: str) -> bool:
    """Whether a process on this machine is working on a deployment."""
    try:
        descriptor = os.open(_lock(name), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
