"""The version of a history database's tables, kept in a separate table.

The first version had no such table: a database with events but without it has schema 1. So nothing needs to be written
into an existing database, which may be shared, and read-only for some users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.nouns import schema as schemas

if TYPE_CHECKING:
    from sqlalchemy import Dialect, Engine, Table
    from sqlalchemy.types import TypeEngine

TABLE = "edgewright_schema"
UNMARKED = 1
MYSQL = ("mysql", "mariadb")
_LONGEST = 2**32 - 1  # bytes: with this length MySQL makes a LONGTEXT


def check(engine: Engine, newest: int) -> None:
    """Marks a new database with the newest schema.

    Raises:
        EdgewrightError: `newer-schema`.
    """
    from sqlalchemy import Column, Integer, MetaData, Table, inspect, select

    table = Table(TABLE, MetaData(), Column("schema", Integer, primary_key=True, autoincrement=False))
    there = inspect(engine)
    if not there.has_table(TABLE):
        if there.has_table("events"):
            return
        mark(engine, table, newest)
    with engine.connect() as connection:
        rows = list(connection.execute(select(table.c.schema)))
    found = max((int(row.schema) for row in rows), default=UNMARKED)
    schemas.check(found, newest, f"history {engine.url!r}")


def mark(engine: Engine, table: Table, schema: int) -> None:
    """Creates the table and its row, unless another process is faster."""
    import contextlib

    from sqlalchemy import insert
    from sqlalchemy.exc import DBAPIError

    with contextlib.suppress(DBAPIError):  # the next reader will see whether it is there
        table.create(engine, checkfirst=True)
        with engine.begin() as connection:
            connection.execute(insert(table).values(schema=schema))


def long_text() -> TypeEngine[str]:
    """The type of a column for text of any length: MySQL's TEXT ends at 64 KiB, the plan of some hundred boards."""
    from sqlalchemy import Text

    return Text().with_variant(Text(_LONGEST), *MYSQL)


def widen(engine: Engine, table: Table) -> None:
    """Gives the columns of a table that is there their type, where an earlier version made them of a shorter one."""
    from sqlalchemy import inspect, text

    if engine.dialect.name not in MYSQL:
        return
    there = {column["name"]: column["type"] for column in inspect(engine).get_columns(table.name)}
    with engine.begin() as connection:
        for statement in widening(engine.dialect, table, there):
            connection.execute(text(statement))


def widening(dialect: Dialect, table: Table, there: Mapping[str, TypeEngine[Any]]) -> list[str]:
    """The statements that turn MySQL's TEXT into what the table declares. `there`: the columns and types that it has."""
    quoted = dialect.identifier_preparer.quote
    found = []
    for column in table.columns:
        wanted = column.type.compile(dialect)
        short = column.name in there and there[column.name].compile(dialect) == "TEXT"
        if short and wanted == f"TEXT({_LONGEST})":
            found.append(f"ALTER TABLE {quoted(table.name)} MODIFY {quoted(column.name)} {wanted} NOT NULL")
    return found
