"""History: every deployment, rollback and benchmark, in SQL (SQLite by default, any SQLAlchemy URL else)."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgewright.config.home import home, made
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.interface import ACCEPTED, INTERFACE, Interface
from edgewright.nouns.measurement import Measurement
from edgewright.nouns.outcome import COMMITTED, UNCHANGED, UNFINISHED, UNKNOWN, BoardOutcome
from edgewright.store import history_schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData, Row, Table

URL_VARIABLE = "EDGEWRIGHT_HISTORY"
FILE = "history.sqlite3"
SCHEMA = 1  # of the tables
_TRIED = 20  # interfaces of an artifact that are looked at
_AT_ONCE = 500  # releases in one query

Running = tuple[str, str, str]  # a board, a model, its current release


class LastRelease(NamedTuple):
    """What a board ran last, by the history. `board_id` is empty where a version recorded it that kept none."""

    board: str
    model: str
    release: str
    at: str
    board_id: str


class History:
    """The history database; its tables are made when absent, and never touched where a newer version made them.

    Args:
        url: SQLAlchemy URL; without one `EDGEWRIGHT_HISTORY`, else a SQLite file in the home folder.

    Raises:
        EdgewrightError: the database cannot be opened or written; `newer-schema`.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url or os.environ.get(URL_VARIABLE)
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._metadata, self._events, self._measurements = tables()
        self.events_table = self._events
        self.journal_tables = journal_tables()

    def _open(self) -> Engine:
        with self._opening:  # boards are recorded from their own threads
            return self._engine or self._opened()

    def _opened(self) -> Engine:
        from sqlalchemy import create_engine

        if self._url is None:
            self._url = f"sqlite:///{_own_file()}"
        engine = create_engine(
            self._url, connect_args={"timeout": 30} if self._url.startswith("sqlite") else {}
        )
        try:
            history_schema.check(engine, SCHEMA)
            self._metadata.create_all(engine)
        except BaseException:
            engine.dispose()
            raise
        self._engine = engine
        return engine

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._failing(), self._open().begin() as connection:
            yield connection

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turns what the database raises into an error of this project."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except ImportError as error:  # the URL names a database whose driver is not installed
            raise EdgewrightError(
                f"no driver for the history database: {error.name}",
                hint=f"install it beside edgewright, or change {URL_VARIABLE}",
                code=Code.HISTORY,
            ) from error
        except SQLAlchemyError as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise EdgewrightError(
                f"the history database failed: {reason}",
                hint=f"check {URL_VARIABLE}, or the file history.sqlite3 in {home()}",
                code=Code.HISTORY,
            ) from error

    def close(self) -> None:
        """Closes the database's connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def writing(self, *needed: Table) -> Iterator[Connection]:
        """One transaction; tables that an older version did not have are made first."""
        from sqlalchemy.exc import SQLAlchemyError

        with self._failing():
            engine = self._open()
        for table in needed:
            with suppress(SQLAlchemyError):  # another process is quicker; what is really wrong shows below
                table.create(engine, checkfirst=True)
        with self._begin() as connection:
            yield connection

    @contextmanager
    def reading(self, *needed: Table) -> Iterator[Connection | None]:
        """One transaction that makes nothing; None where the database or one of the tables is not there."""
        from sqlalchemy import inspect

        if self._url is None and not (home() / FILE).exists():
            yield None
            return
        with self._begin() as connection:
            there = inspect(connection)
            yield connection if all(there.has_table(table.name) for table in needed) else None

    def record(self, action: str, fleet: str, version: str, outcomes: list[BoardOutcome]) -> None:
        """Keeps what a deployment or rollback did on each board, and what was measured."""
        now = datetime.now(UTC)
        with self._begin() as connection:
            for outcome in outcomes:
                self.add_event(connection, action, fleet, version, outcome)
                if outcome.measurement is not None:
                    self._keep(connection, now, fleet, outcome.measurement)

    def add_event(
        self, connection: Connection, action: str, fleet: str, version: str, outcome: BoardOutcome
    ) -> int:
        """Adds what was done on a board, within a transaction; returns the row's id."""
        row = {"action": action, "fleet": fleet, "version": version, **_row(outcome)}
        key = connection.execute(self._events.insert().values(**row)).inserted_primary_key
        return 0 if key is None else int(key[0])

    def end_event(self, connection: Connection, event: int, fleet: str, outcome: BoardOutcome) -> None:
        """Says in a row how it ended, and adds what was measured."""
        connection.execute(self._events.update().where(self._events.c.id == event).values(**_row(outcome)))
        if outcome.measurement is not None:
            self._keep(connection, datetime.now(UTC), fleet, outcome.measurement)

    def record_measurements(self, fleet: str, measurements: list[Measurement]) -> None:
        """Keeps benchmarks."""
        now = datetime.now(UTC)
        with self._begin() as connection:
            for measurement in measurements:
                self._keep(connection, now, fleet, measurement)

    def _keep(self, connection: Connection, now: datetime, fleet: str, measurement: Measurement) -> None:
        row = {
            "at": now, "fleet": fleet, "board": measurement.board, "model": measurement.model,
            "release": measurement.release, "artifact": measurement.artifact, "p50_ms": measurement.latency.p50,
            "document": msgspec.to_builtins(measurement),
        }  # fmt: skip
        connection.execute(self._measurements.insert().values(**row))

    def events(
        self,
        *,
        fleet: str | None = None,
        model: str | None = None,
        boards: list[str] | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """The last events, newest first, as plain dictionaries."""
        query = self._events.select().order_by(self._events.c.id.desc()).limit(limit)
        for column, value in (("fleet", fleet), ("model", model)):
            if value is not None:
                query = query.where(self._events.c[column] == value)
        if boards is not None:
            query = query.where(self._events.c.board.in_(boards))
        with self._begin() as connection:
            return [plain(row) for row in connection.execute(query)]

    def interface(self, artifact: str) -> Interface | None:
        """The interface of an artifact that was deployed once; None where no event has it."""
        from sqlalchemy import select

        table = self._events
        kept = table.c.document["interface"]
        query = (
            select(kept.label("interface"))
            .where(table.c.artifact == artifact, table.c.action == "deploy", kept.as_string().is_not(None))
            .order_by(table.c.id.desc())
            .limit(_TRIED)
        )
        with self._begin() as connection:
            for row in connection.execute(query):
                try:
                    return msgspec.convert(row.interface, Interface)
                except msgspec.ValidationError:
                    continue  # another version's
        return None

    def accepted_changes(self, fleet: str, releases: Collection[Running]) -> dict[Running, str]:
        """What changed in the interface with releases that were deployed all the same; those where nothing did, or nobody
        knows, are left out.

        Args:
            releases: a board, a model and a release each.
        """
        from sqlalchemy import select

        if not releases or (self._url is None and not (home() / FILE).exists()):
            return {}
        table, names = self._events, sorted({release for _, _, release in releases})
        checks = table.c.document["checks"].label("checks")
        query = select(table.c.board, table.c.model, table.c.release, table.c.outcome, checks).where(
            table.c.fleet == fleet, table.c.outcome == COMMITTED, table.c.action == "deploy"
        )
        found: dict[Running, str] = {}
        with self._begin() as connection:
            for start in range(0, len(names), _AT_ONCE):
                part = query.where(table.c.release.in_(names[start : start + _AT_ONCE]))
                for row in connection.execute(part.order_by(table.c.id)):
                    key = (row.board, row.model, row.release)
                    note = accepted_of(row.checks) if key in releases else ""
                    found |= {key: note} if note else {}
        return found

    def last_releases(self, fleet: str, boards: Sequence[str]) -> list[LastRelease]:
        """What boards ran last by what is recorded here, by board and model; not where the last outcome is unknown."""
        from sqlalchemy import and_, func, select

        table = self._events
        decided = (COMMITTED, UNCHANGED, UNKNOWN, UNFINISHED)
        where = (table.c.fleet == fleet, table.c.outcome.in_(decided))
        newest = (  # by its end: a row's id is of its beginning
            select(table.c.board, table.c.model, func.max(table.c.at).label("at"))
            .where(*where)
            .group_by(table.c.board, table.c.model)
            .subquery()
        )
        same = [table.c[name] == newest.c[name] for name in ("board", "model", "at")]
        query = select(table).join(newest, and_(*same)).where(*where).order_by(table.c.id)
        found: list[LastRelease] = []
        with self.reading() as connection:
            if connection is None:
                return []
            rows = {(row.board, row.model): row for row in connection.execute(query)}
            for row in rows.values():
                if row.board in boards and row.outcome in (COMMITTED, UNCHANGED):
                    found.append(LastRelease(
                        board=row.board, model=row.model, release=row.release, at=plain(row)["at"],
                        board_id=str(row.document.get("board_id") or ""),
                    ))  # fmt: skip
        return found

    def version_for(self, fleet: str, model: str, artifacts: list[str]) -> str:
        """The version that these artifacts had before, else the next whole number."""
        from sqlalchemy import select

        table = self._events
        query = select(table.c.version, table.c.artifact, table.c.outcome).where(
            table.c.fleet == fleet, table.c.model == model, table.c.action == "deploy"
        )
        with self._begin() as connection:
            rows = list(connection.execute(query))
        good = {row.artifact: row.version for row in rows if row.outcome in (COMMITTED, UNCHANGED)}
        known = {good.get(artifact) for artifact in artifacts}
        if len(known) == 1 and None not in known:
            return str(known.pop())
        return str(max((int(row.version) for row in rows if row.version.isdecimal()), default=0) + 1)


def _row(outcome: BoardOutcome) -> dict[str, Any]:
    """The columns of an event that its outcome decides."""
    return {
        "at": datetime.now(UTC), "board": outcome.board, "model": outcome.model, "release": outcome.release,
        "artifact": outcome.artifact, "outcome": outcome.outcome, "message": outcome.message,
        "document": msgspec.to_builtins(outcome),
    }  # fmt: skip


def accepted(event: dict[str, Any]) -> str:
    """What an event's checks say of a change of the interface that the user accepted; empty without one."""
    return accepted_of(event["document"].get("checks")) if event["outcome"] == COMMITTED else ""


def accepted_of(checks: Sequence[dict[str, Any]] | None) -> str:
    """As `accepted`, of the checks of a release that was committed."""
    notes = [
        str(check.get("note"))
        for check in checks or ()
        if check.get("name") == INTERFACE and str(check.get("note")).startswith(ACCEPTED)
    ]
    return f"{INTERFACE}: {notes[0]}" if notes else ""


def _own_file() -> Path:
    """The SQLite file in the home folder, made when absent for its owner only; SQLite's journals take over its mode."""
    file = made(home()) / FILE
    if not file.exists():
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    return file


def tables() -> tuple[MetaData, Table, Table]:
    """The tables: events (one a board and action) and measurements."""
    from sqlalchemy import JSON, Column, DateTime, Float, Integer, MetaData, String, Table

    def text(name: str, size: int = 128, index: bool = False) -> Column[str]:
        return Column(name, String(size), nullable=False, default="", index=index)

    metadata = MetaData()
    events = Table(
        "events", metadata,
        Column("id", Integer, primary_key=True), Column("at", DateTime(timezone=True), nullable=False),
        text("action", 32), text("fleet", index=True), text("board", index=True), text("model", index=True),
        text("version"), text("release"), text("artifact"), text("outcome", 32), text("message", 4096),
        Column("document", JSON, nullable=False),
    )  # fmt: skip
    measurements = Table(
        "measurements", metadata,
        Column("id", Integer, primary_key=True), Column("at", DateTime(timezone=True), nullable=False),
        text("fleet", index=True), text("board", index=True), text("model", index=True), text("release"), text("artifact"),
        Column("p50_ms", Float, nullable=True), Column("document", JSON, nullable=False),
    )  # fmt: skip
    return metadata, events, measurements


def journal_tables() -> tuple[Table, Table]:
    """The tables of `store.journal`: deployments, and their boards. Versions before them leave them alone: the schema stays."""
    from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Text

    metadata = MetaData()
    deployments = Table(
        "deployments", metadata,
        Column("id", String(64), primary_key=True), Column("at", DateTime(timezone=True), nullable=False),
        Column("fleet", String(128), nullable=False, index=True), Column("model", String(128), nullable=False),
        Column("version", String(128), nullable=False), Column("host", String(256), nullable=False),
        Column("plan", Text, nullable=False), Column("sha256", String(64), nullable=False),
    )  # fmt: skip
    boards = Table(
        "deployment_boards", metadata,
        Column("id", Integer, primary_key=True), Column("deployment", String(64), nullable=False, index=True),
        Column("board", String(128), nullable=False), Column("state", String(16), nullable=False, index=True),
        Column("txn", String(64), nullable=False, default=""), Column("event", Integer, nullable=False),
        Column("plan", Text, nullable=False), Column("sha256", String(64), nullable=False),
    )  # fmt: skip
    return deployments, boards


def plain(row: Row[Any]) -> dict[str, Any]:
    """A row as a dictionary; times in ISO 8601, UTC."""
    values = dict(row._mapping)
    at: datetime = values["at"]
    values["at"] = (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat(timespec="seconds")
    return values
