"""The user's own functions: `module.py:function`, imported from that file."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.errors import UsageError
from edgewright.nouns.metric import OWN

TURN = threading.Lock()  # held around a call: a user's function does not have to bear several boards at once


def named(text: Path | str | None) -> tuple[Path, str] | None:
    """(file, function) of `module.py:function`; None for any other text."""
    if text is None or not OWN.match(str(text)):
        return None
    file, _, function = str(text).rpartition(":")
    return Path(file), function


def load(text: Path | str) -> Callable[..., Any]:
    """The function, its module run anew.

    Raises:
        UsageError: no such file or function, or the module fails while it is imported.
    """
    found = named(text)
    if found is None:
        raise UsageError(f"not a function of a file: {text}", hint="such as quality.py:score")
    file, name = found
    if not file.is_file():
        raise UsageError(f"no such file: {file}", hint="check the path before the colon")
    folder = str(file.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: what it imports from beside it must not hide a library
    alias = f"edgewright_own_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(alias, file)
    assert spec is not None and spec.loader is not None  # noqa: S101 - a .py file has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses and pickles of that module look for it there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{file} fails while it is imported: {said(error)}", hint="run it by itself first"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        has = ", ".join(
            key for key, value in vars(module).items() if callable(value) and not key.startswith("_")
        )
        raise UsageError(f"no function {name} in {file}", hint=f"it has: {has or 'none'}")
    return function  # type: ignore[no-any-return]


def said(error: BaseException) -> str:
    """An exception of the user's code in one line: its type and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200].rstrip('.')}" if lines else type(error).__name__
