"""History: every deployment, rollback and benchmark, in SQL (SQLite by default, or any SQLAlchemy URL)."""

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
from edgewright.store import history_schema, version_numbers

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData, Row, Table

URL_VARIABLE = "EDGEWRIGHT_HISTORY"
FILE = "history.sqlite3"
SCHEMA = 1  # of the tables
_MAX_INTERFACES = 20  # most interfaces of an artifact to look at
_DEPLOYMENT_LETTERS = 12  # of a deployment's id; fewer digits are an event's
_BATCH = 500  # releases per query

Running = tuple[str, str, str]  # a board, a model, its current release


class LastRelease(NamedTuple):
    """The last release on a board, by the history. `board_id` is empty if an older version recorded it without one."""

    board: str
    model: str
    release: str
    at: str
    board_id: str


class History:
    """The history database. Its tables are created if absent, and never touched if a newer version created them.

    Args:
        url: SQLAlchemy URL; by default `EDGEWRIGHT_HISTORY`, else a SQLite file in the home folder.

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
        with self._opening:  # boards are recorded from several threads
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
        """Converts the database's exceptions into errors of this project."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except ImportError as error:  # the driver for the URL's database is not installed
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
        """One transaction; creates tables that an older version did not have."""
        from sqlalchemy.exc import SQLAlchemyError

        with self._failing():
            engine = self._open()
        for table in needed:
            with suppress(
                SQLAlchemyError
            ):  # another process may create them first; a real fault is reported below
                table.create(engine, checkfirst=True)
                history_schema.widen(engine, table)
        with self._begin() as connection:
            yield connection

    @contextmanager
    def reading(self, *needed: Table) -> Iterator[Connection | None]:
        """One read-only transaction; None if the database or one of the tables does not exist."""
        from sqlalchemy import inspect

        if self._url is None and not (home() / FILE).exists():
            yield None
            return
        with self._begin() as connection:
            there = inspect(connection)
            yield connection if all(there.has_table(table.name) for table in needed) else None

    def record(self, action: str, fleet: str, version: str, outcomes: list[BoardOutcome]) -> None:
        """Records the outcome of a deployment or rollback on each board, with its measurements."""
        now = datetime.now(UTC)
        with self._begin() as connection:
            for outcome in outcomes:
                self.add_event(connection, action, fleet, version, outcome)
                if outcome.measurement is not None:
                    self._keep(connection, now, fleet, outcome.measurement)

    def add_event(
        self, connection: Connection, action: str, fleet: str, version: str, outcome: BoardOutcome
    ) -> int:
        """Adds a board's event within a transaction; returns the row's id."""
        row = {"action": action, "fleet": fleet, "version": version, **_row(outcome)}
        key = connection.execute(self._events.insert().values(**row)).inserted_primary_key
        return 0 if key is None else int(key[0])

    def begin_event(self, connection: Connection, event: int) -> None:
        """Says in a row that its board is touched from now on."""
        now = datetime.now(UTC)
        connection.execute(self._events.update().where(self._events.c.id == event).values(at=now))

    def end_event(self, connection: Connection, event: int, fleet: str, outcome: BoardOutcome) -> None:
        """Records an event's outcome in its row, and adds its measurements."""
        connection.execute(self._events.update().where(self._events.c.id == event).values(**_row(outcome)))
        if outcome.measurement is not None:
            self._keep(connection, datetime.now(UTC), fleet, outcome.measurement)

    def record_measurements(self, fleet: str, measurements: list[Measurement]) -> None:
        """Records benchmarks."""
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

    def events_of(self, which: str) -> list[dict[str, Any]]:
        """The event of an id, or those of a deployment by its id, oldest first.

        Raises:
            EdgewrightError: `not-found`.
        """
        table = self._events
        of = table.c.document["deployment"].as_string() == which
        if which.isdecimal() and len(which) < _DEPLOYMENT_LETTERS:
            of = table.c.id == int(which)
        with self._begin() as connection:
            found = [plain(row) for row in connection.execute(table.select().where(of).order_by(table.c.id))]
        if not found:
            raise EdgewrightError(
                f"the history has no {which}", hint="`edgewright history` lists the ids", code=Code.NOT_FOUND
            )
        return found

    def interface(self, artifact: str) -> Interface | None:
        """The interface of an artifact that was deployed before; None if no event has it."""
        from sqlalchemy import select

        table = self._events
        kept = table.c.document["interface"]
        query = (
            select(kept.label("interface"))
            .where(table.c.artifact == artifact, table.c.action == "deploy", kept.as_string().is_not(None))
            .order_by(table.c.id.desc())
            .limit(_MAX_INTERFACES)
        )
        with self._begin() as connection:
            for row in connection.execute(query):
                try:
                    return msgspec.convert(row.interface, Interface)
                except msgspec.ValidationError:
                    continue  # written by another version
        return None

    def accepted_changes(self, fleet: str, releases: Collection[Running]) -> dict[Running, str]:
        """The interface changes that users accepted when they deployed these releases; releases without known changes are
        left out.

        Args:
            releases: (board, model, release) each.
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
            for start in range(0, len(names), _BATCH):
                part = query.where(table.c.release.in_(names[start : start + _BATCH]))
                for row in connection.execute(part.order_by(table.c.id)):
                    key = (row.board, row.model, row.release)
                    note = accepted_of(row.checks) if key in releases else ""
                    found |= {key: note} if note else {}
        return found

    def last_releases(self, fleet: str, boards: Sequence[str]) -> list[LastRelease]:
        """The last recorded release on each board, by board and model; left out if its last outcome is unknown."""
        from sqlalchemy import and_, func, select

        table = self._events
        decided = (COMMITTED, UNCHANGED, UNKNOWN, UNFINISHED)
        where = (table.c.fleet == fleet, table.c.outcome.in_(decided))
        newest = (  # by the end of the event: row ids follow the beginning
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
        """The version that these artifacts had before, or else the next integer."""
        with self._begin() as connection:
            rows = version_numbers.deployed(connection, self._events, fleet, model)
        return version_numbers.version_of(rows, artifacts)

    def check_number(
        self, connection: Connection, fleet: str, model: str, version: str, artifacts: Collection[str]
    ) -> None:
        """Raises EdgewrightError if these artifacts have a version by its number that another one has too."""
        rows = version_numbers.deployed(connection, self._events, fleet, model)
        version_numbers.check(rows, model, version, artifacts)


def _row(outcome: BoardOutcome) -> dict[str, Any]:
    """The columns of an event that depend on its outcome."""
    return {
        "at": datetime.now(UTC), "board": outcome.board, "model": outcome.model, "release": outcome.release,
        "artifact": outcome.artifact, "outcome": outcome.outcome, "message": outcome.message,
        "document": msgspec.to_builtins(outcome),
    }  # fmt: skip


def accepted(event: dict[str, Any]) -> str:
    """The interface change that a user accepted, from an event's checks; empty if there is none."""
    return accepted_of(event["document"].get("checks")) if event["outcome"] == COMMITTED else ""


def accepted_of(checks: Sequence[dict[str, Any]] | None) -> str:
    """As `accepted`, for the checks of a committed release."""
    notes = [
        str(check.get("note"))
        for check in checks or ()
        if check.get("name") == INTERFACE and str(check.get("note")).startswith(ACCEPTED)
    ]
    return f"{INTERFACE}: {notes[0]}" if notes else ""


def _own_file() -> Path:
    """The SQLite file in the home folder, created readable by its owner only; SQLite's journals inherit its mode."""
    file = made(home()) / FILE
    if not file.exists():
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    return file


def tables() -> tuple[MetaData, Table, Table]:
    """The tables: events (one per board and action) and measurements."""
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
    """The tables of `store.journal`: deployments and their boards. Older versions ignore them, so the schema number does not change."""
    from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table

    document = history_schema.long_text()
    metadata = MetaData()
    deployments = Table(
        "deployments", metadata,
        Column("id", String(64), primary_key=True), Column("at", DateTime(timezone=True), nullable=False),
        Column("fleet", String(128), nullable=False, index=True), Column("model", String(128), nullable=False),
        Column("version", String(128), nullable=False), Column("host", String(256), nullable=False),
        Column("plan", document, nullable=False), Column("sha256", String(64), nullable=False),
    )  # fmt: skip
    boards = Table(
        "deployment_boards", metadata,
        Column("id", Integer, primary_key=True), Column("deployment", String(64), nullable=False, index=True),
        Column("board", String(128), nullable=False), Column("state", String(16), nullable=False, index=True),
        Column("txn", String(64), nullable=False, default=""), Column("event", Integer, nullable=False),
        Column("plan", document, nullable=False), Column("sha256", String(64), nullable=False),
    )  # fmt: skip
    return deployments, boards


def plain(row: Row[Any]) -> dict[str, Any]:
    """A row as a dictionary; times in ISO 8601, UTC."""
    values = dict(row._mapping)
    at: datetime = values["at"]
    values["at"] = (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat(timespec="seconds")
    return values
