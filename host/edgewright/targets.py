"""The loader of targets: the only way from the host to a target. A target is one folder, found by itself.

`load(name)` gives metadata and imports no framework; its `runtimes` say which wheels run on which board
(`Target.runtimes_for`), best first. `runner` imports the target's runner when asked, which
imports its framework inside its functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

from edgewright.errors import Code, UsageError
from edgewright.nouns.target import Target

_PACKAGE = "edgewright_targets"


@cache
def names() -> list[str]:
    """The targets there are, sorted."""
    package = importlib.import_module(_PACKAGE)
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg)


@cache
def load(name: str) -> Target:
    """The metadata of a target.

    Raises:
        UsageError: there is no such target; the hint names those that exist.
    """
    if name not in names():
        raise UsageError(
            f"unknown target: {name}", hint=f"targets are {', '.join(names())}", code=Code.TARGET_UNKNOWN
        )
    metadata = importlib.import_module(f"{_PACKAGE}.{name}.target").TARGET
    return msgspec.convert({"name": name, **metadata}, Target)


def module_name(path: str) -> str:
    """The import name of a stage's module, given as `<target>.<module>`."""
    return f"{_PACKAGE}.{path}"


def folder(name: str) -> Path:
    """The folder of a target's own sources."""
    package = importlib.import_module(f"{_PACKAGE}.{load(name).name}")
    return Path(next(iter(package.__path__)))


def runner(name: str) -> ModuleType:
    """The target's `runner.py`. Raises UsageError as `load` does."""
    return importlib.import_module(f"{_PACKAGE}.{load(name).name}.runner")
