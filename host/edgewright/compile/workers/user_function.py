"""Imports the user's own functions: `module.py:function`."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from edgewright.compile.workers.framework_errors import described, position
from edgewright.config import home
from edgewright.errors import DataError, UsageError
from edgewright.nouns.metric import OWN

TURN = threading.Lock()  # held around a call: a user's function does not have to bear several boards at once


PRINTED = 1 << 20  # letters that functions may print into the log, a command


def named(text: Path | str | None) -> tuple[Path, str] | None:
    """(file, function) of `module.py:function`; None for any other text."""
    if text is None or not OWN.match(str(text)):
        return None
    file, _, function = str(text).rpartition(":")
    return Path(file), function


def load(text: Path | str) -> Callable[..., Any]:
    """The function, its module run again.

    Raises:
        UsageError: no such file or function, or the module fails while it is imported.
    """
    found = named(text)
    if found is None:
        raise UsageError(f"not module.py:function: {text}", hint="such as quality.py:score")
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
        with _quiet():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
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


def call(what: str, function: Callable[..., Any], *arguments: Any, hint: str) -> Any:
    """What a function of the user's returns. What it prints goes to the log: it may be called hundreds of times.

    Args:
        what: the function, for people. hint: what to do where it fails.

    Raises:
        DataError: it fails, whatever it raises.
    """
    try:
        with _quiet():
            return function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise DataError(f"{what} failed: {said(error) + _defined(function, error)}", hint=hint) from error


def said(error: BaseException) -> str:
    """An exception of the user's code in one line: its type, what it says, and the line of the user's that it is from."""
    return described(error) + position(error)


def _defined(function: Callable[..., Any], error: BaseException) -> str:
    """Where a function is, for an error that is not inside it."""
    code = getattr(function, "__code__", None)
    return (
        "" if code is None or position(error) else f", at {Path(code.co_filename).name}:{code.co_firstlineno}"
    )


def kind_of(found: Any, array: Any) -> str:
    """What a function returned that is neither a number nor an array of numbers of the right shape."""
    if array.dtype.kind in "fiub":
        return f"{array.dtype} of shape {array.shape}"
    return "None" if found is None else f"a {type(found).__name__}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Sends what this thread prints to the log, the first of it; other threads print as before."""
    with redirect_stdout(cast(TextIO, _Printed(sys.stdout, threading.get_ident()))):
        yield


class _Printed:
    """A stream in the place of stdout, which is for the command's own result."""

    left = PRINTED

    def __init__(self, stdout: TextIO, thread: int) -> None:
        self._stdout, self._thread = stdout, thread

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return self._stdout.write(text)
        kept = text[: _Printed.left]
        _Printed.left -= len(kept)
        if kept:
            with (home.folder("logs") / "convert.log").open("a", encoding="utf-8", errors="replace") as log:
                log.write(kept)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)
