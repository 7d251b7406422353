"""Losses, optimisers and schedules that are the user's own functions, `module.py:function`.

They run in the worker of the network and may open what it may: a file by a stranger must not run with the user's rights next to them.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import msgspec

from edgewright.compile.inspection import code_fingerprint, python_source
from edgewright.compile.workers import user_function
from edgewright.errors import Code, DataError, ModelError, UsageError
from edgewright.nouns.compression import LOSSES, OPTIMISERS, SCHEDULES
from edgewright.nouns.recipe import TrainingOptions

_KNOWN = {"loss": ("auto", *LOSSES), "optimiser": OPTIMISERS, "schedule": SCHEDULES}


def is_own(name: str | None) -> bool:
    """Whether a loss, optimiser or schedule is a user's function."""
    return user_function.named(name) is not None


def shown(name: str) -> str:
    """A function as messages name it, wherever its file is."""
    return Path(name).name


def placed(training: TrainingOptions, folder: Path) -> TrainingOptions:
    """Options whose functions are found from a folder."""
    return msgspec.structs.replace(
        training, **{what: str(folder / name) for what, name in _own(training).items()}
    )


def check(training: TrainingOptions) -> None:
    """Raises UsageError if there is no such loss, optimiser or schedule. Runs no code."""
    for what, known in _KNOWN.items():
        name = getattr(training, what)
        if name is not None and name not in known and not is_own(name):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"give {', '.join(known)} or module.py:function"
            raise UsageError(f"unknown {what}: {name}", hint=hint, code=Code.RECIPE)
    files(training)


def files(training: TrainingOptions) -> list[Path]:
    """The files of its functions: modules, those next to them that they import, and files that they name.

    Raises:
        UsageError: there is no such file or function, or it is not valid Python.
    """
    return [file for what, name in _own(training).items() for file in _files(what, name)]


def hashes(training: TrainingOptions) -> dict[str, str]:
    """Loss, optimiser or schedule -> hex sha256 over the files of its function. Raises as `files`."""
    return {
        what: code_fingerprint.of(
            {os.path.relpath(file, Path(name).parent): file for file in _files(what, name)}
        )
        for what, name in _own(training).items()
    }


def _own(training: TrainingOptions) -> dict[str, str]:
    names = {what: getattr(training, what) for what in _KNOWN}
    return {what: name for what, name in names.items() if is_own(name)}


def _files(what: str, name: str) -> list[Path]:
    own = user_function.named(name)
    assert own is not None  # noqa: S101 - the caller looked
    try:
        return python_source.look(*own)
    except ModelError as error:
        raise UsageError(f"{what}: {error.message}", hint=error.hint, code=Code.RECIPE) from error


def call(what: str, name: str, *arguments: Any, hint: str) -> Any:
    """Calls a function in the worker.

    Args:
        what: `loss`, `optimiser` or `schedule`.
        hint: what to do if it fails.

    Raises:
        DataError, UsageError: as `user_function.call` and `user_function.load`.
    """
    return run(what, name, _loaded(name), *arguments, hint=hint)


def run(what: str, name: str, function: Callable[..., Any], *arguments: Any, hint: str) -> Any:
    """As `call`, for something that the function made."""
    return user_function.call(f"{what} {shown(name)}", function, *arguments, hint=hint)


def kind_of(found: Any) -> str:
    """What a function returned, for messages."""
    name = type(found).__name__
    return "None" if found is None else f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def factor(schedule: str, epoch: int, epochs: int) -> float:
    """The share of the learning rate that an epoch has.

    Args:
        schedule: one of `SCHEDULES`, or a function.
        epoch: from 0. epochs: of the step.

    Raises:
        DataError: the function fails, or returns no finite number from 0.
    """
    if schedule == "constant":
        return 1.0
    if not is_own(schedule):
        return 0.5 * (1 + math.cos(math.pi * epoch / max(1, epochs)))
    found = call("schedule", schedule, epoch, epochs, hint=f"it is called with {epoch}, {epochs}")
    plain = isinstance(found, int | float) and not isinstance(found, bool)
    if not plain or not math.isfinite(found) or found < 0:
        what = found if plain else kind_of(found)
        raise DataError(
            f"schedule {shown(schedule)} returned {what} for epoch {epoch} of {epochs}",
            hint="return a float, 0 or more: the factor of the learning rate",
        )
    return float(found)


@functools.cache
def _loaded(name: str) -> Callable[..., Any]:
    """The function, imported once per worker."""
    folder = Path(name).parent
    try:
        os.scandir(folder).close()
    except OSError:  # this worker may read single files there
        sys.meta_path.append(_Listless(folder))
    return user_function.load(name)


class _Listless:
    """Finds modules in a folder that cannot be listed: Python's own finder finds nothing there."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        for place in [self._folder] if path is None else path:
            base = Path(place) / name.rpartition(".")[2]
            if (base / "__init__.py").is_file():
                return importlib.util.spec_from_file_location(
                    name, base / "__init__.py", submodule_search_locations=[str(base)]
                )
            if base.with_suffix(".py").is_file():
                return importlib.util.spec_from_file_location(name, base.with_suffix(".py"))
        return None
