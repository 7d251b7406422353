"""The version of a history database's tables, kept in a separate table.

The first version had no such table: a database with events and without it is of schema 1. So nothing is written into a
database that is there already, which may be shared, and read-only for some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.nouns import schema as schemas

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

TABLE = "edgewright_schema"
UNMARKED = 1


def check(engine: Engine, newest: int) -> None:
    """Marks a new database as of the newest schema.

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
    """Makes the table and its row, unless another process is quicker."""
    import contextlib

    from sqlalchemy import insert
    from sqlalchemy.exc import DBAPIError

    with contextlib.suppress(DBAPIError):  # whoever reads it next finds out whether it is there
        table.create(engine, checkfirst=True)
        with engine.begin() as connection:
            connection.execute(insert(table).values(schema=schema))
