"""Reads `edgewright.toml`: the project file next to a model."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgewright.config import profiles, strict
from edgewright.errors import ConfigError
from edgewright.metrics import METRICS
from edgewright.nouns.metric import is_own
from edgewright.nouns.project import Project, ProjectFile
from edgewright.precisions import PRECISIONS
from edgewright_agent.protocol import NAME

FILE_NAME = "edgewright.toml"


def load(path: Path) -> Project:
    """The project in a file.

    Raises:
        ConfigError: missing file, unknown key, precision, profile or metric, or a name that no board takes.
    """
    file = strict.read(path, ProjectFile, what="project file")
    where = f"project file {path}"
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


def known(value: str, names: object, where: str, what: str) -> None:
    """Raises ConfigError when `value` is none of `names`; names the nearest."""
    choices = list(names)  # type: ignore[call-overload]
    if value in choices:
        return
    near = difflib.get_close_matches(value, choices, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(choices)}"
    raise ConfigError(f"{where}: unknown {what}: {value}", hint=hint)
