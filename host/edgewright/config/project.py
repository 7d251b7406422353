"""Reads `edgewright.toml`: the project file next to a model."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgewright.config import profiles, strict
from edgewright.errors import ConfigError
from edgewright.metrics import METRICS
from edgewright.nouns.metric import is_own
from edgewright.nouns.project import SCHEMA, Budget, Project, ProjectFile
from edgewright.precisions import PRECISIONS
from edgewright_agent.protocol import NAME

FILE_NAME = "edgewright.toml"


def load(path: Path) -> Project:
    """The project in a file.

    Raises:
        ConfigError: missing file, unknown key, precision, profile or metric, or a name that boards do not accept.
    """
    file = strict.read(path, ProjectFile, what="project file", schema=SCHEMA)
    where = f"project file {path}"
    check_memory(file, where)
    for precision in filter(None, (file.precision, *file.precisions.values())):
        if precision not in PRECISIONS:
            known(precision, PRECISIONS, where, "precision")
    for profile in (*file.precisions, *file.budgets):
        if not profiles.known(profile):
            known(profile, profiles.names(), where, "profile")
    if not is_own(file.metric) and file.metric not in METRICS:
        known(file.metric, METRICS, where, "metric")
    if file.compare.function is not None and not is_own(file.compare.function):
        raise ConfigError(
            f"{where}: [compare] function is not module.py:function: {file.compare.function}",
            hint="name a file and a function in it, such as boxes.py:same",
        )
    if not NAME.match(file.name):
        raise ConfigError(
            f"{where}: not a model's name: {file.name!r}",
            hint="lower-case letters, digits, dot, dash and underscore",
        )
    return Project(path=path.absolute(), file=file)


def check_memory(file: ProjectFile, where: str) -> None:
    """Raises ConfigError for a limit on memory that the file's schema does not have."""
    for table, budget in budgets(file):
        if file.schema == 1 and (budget.peak_process_mb or budget.model_memory_mb):
            key = "peak_process_mb" if budget.peak_process_mb else "model_memory_mb"
            hint = "write `schema = 2` at the top of the file"
            if budget.peak_rss_mb is not None:
                hint += f", and model_memory_mb = {budget.peak_rss_mb:g} instead of peak_rss_mb"
            raise ConfigError(f"{where}: schema 1 has no `{key}` in [{table}]", hint=hint)
        if file.schema > 1 and budget.peak_rss_mb is not None:
            raise ConfigError(
                f"{where}: `peak_rss_mb` in [{table}] is a key of schema 1",
                hint="`model_memory_mb` is the same figure; `peak_process_mb` is the whole process, with Python and the runtime",
            )


def budgets(file: ProjectFile) -> list[tuple[str, Budget]]:
    """The budgets of a file, by the names of their tables."""
    return [("budget", file.budget), *((f"budgets.{name}", budget) for name, budget in file.budgets.items())]


def memory_note(project: Project) -> str:
    """What `peak_rss_mb` means, where a project limits it; else empty."""
    if all(budget.peak_rss_mb is None for _, budget in budgets(project.file)):
        return ""
    return (
        f"{project.path.name}: peak_rss_mb limits the model's share of memory, without Python and the runtime;"
        " in schema 2 it is called model_memory_mb, and peak_process_mb limits the whole process"
    )


def known(value: str, names: object, where: str, what: str) -> None:
    """Raises ConfigError if `value` is not among `names`; suggests the nearest."""
    choices = list(names)  # type: ignore[call-overload]
    if value in choices:
        return
    near = difflib.get_close_matches(value, choices, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(choices)}"
    raise ConfigError(f"{where}: unknown {what}: {value}", hint=hint)
