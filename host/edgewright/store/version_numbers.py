"""Version numbers: the next one for artifacts without a version, and whether a number is another artifact's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.outcome import COMMITTED, UNCHANGED

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

Rows = Sequence["Row[Any]"]


def deployed(connection: Connection, events: Table, fleet: str, model: str) -> Rows:
    """The version, artifact and outcome of each deployment of a model to a board."""
    from sqlalchemy import select

    query = select(events.c.version, events.c.artifact, events.c.outcome)
    where = (events.c.fleet == fleet, events.c.model == model, events.c.action == "deploy")
    return list(connection.execute(query.where(*where)))


def version_of(rows: Rows, artifacts: Collection[str]) -> str:
    """The version that these artifacts had before, or else the next integer."""
    known = _known_good(rows, artifacts)
    if len(known) == 1 and None not in known:
        return str(known.pop())
    return str(max((int(row.version) for row in rows if row.version.isdecimal()), default=0) + 1)


def check(rows: Rows, model: str, version: str, artifacts: Collection[str]) -> None:
    """Raises EdgewrightError if these artifacts have a version by its number that another one has too."""
    others = {row.artifact for row in rows if row.version == version} - {"", *artifacts}
    if others and _known_good(rows, artifacts) != {version}:
        raise EdgewrightError(
            f"version {version} of {model} is another artifact's by now: {min(others)[:12]}",
            hint="deploy again, with a new plan: it gets the next number",
            code=Code.CONFLICT,
        )


def _known_good(rows: Rows, artifacts: Collection[str]) -> set[str | None]:
    """The versions under which artifacts were committed; None for one that never was."""
    good = {row.artifact: row.version for row in rows if row.outcome in (COMMITTED, UNCHANGED)}
    return {good.get(artifact) for artifact in artifacts}
