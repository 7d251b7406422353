"""Imports and calls user functions, `module.py:function`, within a time limit.

On the main thread they run directly, and an alarm ends them: Ctrl-C reaches them, and they may use functions that only the main thread
may call, such as `signal.signal`. Calls from any other thread run in one separate thread, always the same: the caller can continue without
it, and a function finds its thread-local state (a database connection, a framework's mode) in the next call.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO, cast

from edgewright.compile.workers.framework_errors import described, position
from edgewright.config import home
from edgewright.errors import DataError, UsageError
from edgewright.nouns.metric import OWN

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LIMIT_VARIABLE = "EDGEWRIGHT_FUNCTION_SECONDS"
DEFAULT_SECONDS = 600.0
AGAIN_SECONDS = 1.0  # seconds after which a swallowed alarm is repeated

TURN = threading.Lock()  # held during a call, so that user functions do not have to be thread-safe


PRINTED = 1 << 20  # characters that functions may print to the log per command


def named(text: Path | str | None) -> tuple[Path, str] | None:
    """(file, function) of `module.py:function`; None for any other text."""
    if text is None or not OWN.match(str(text)):
        return None
    file, _, function = str(text).rpartition(":")
    return Path(file), function


def load(text: Path | str) -> Callable[..., Any]:
    """Imports the module afresh and returns the function.

    Raises:
        UsageError: no such file or function, or the module fails to import.
        TooSlow: the import takes too long.
    """
    found = named(text)
    if found is None:
        raise UsageError(f"not module.py:function: {text}", hint="such as quality.py:score")
    file, name = found
    if not file.is_file():
        raise UsageError(f"no such file: {file}", hint="check the path before the colon")
    folder = str(file.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that modules next to it do not hide a library
    alias = f"edgewright_own_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(alias, file)
    assert spec is not None and spec.loader is not None  # noqa: S101 - a .py file has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses and pickles look the module up there
    try:
        run(f"import of {file}", spec.loader.exec_module, module)
    except (KeyboardInterrupt, TooSlow):
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


class TooSlow(DataError):
    """A user's function did not end within the limit."""


def call(what: str, function: Callable[..., Any], *arguments: Any, hint: str) -> Any:
    """Calls a user function and returns its result. Its output goes to the log, as it may be called hundreds of times.

    Args:
        what: the function, for people.
        hint: what to do if it fails.

    Raises:
        DataError: the function raised an exception, or takes too long.
    """
    try:
        return run(what, function, *arguments)
    except (KeyboardInterrupt, TooSlow):
        raise
    except BaseException as error:
        raise DataError(f"{what} failed: {said(error) + _defined(function, error)}", hint=hint) from error


def each(what: str, made: Iterable[Any], *, hint: str) -> Iterator[Any]:
    """The items of a user's generator, with the limit for each item. Raises as `call`."""
    items, end, index = made, object(), 0
    while True:
        try:
            items = run(what, iter, items)  # an iterator returns itself
            item = run(f"{what} at sample {index}", next, items, end)
        except (KeyboardInterrupt, TooSlow):
            raise
        except BaseException as error:
            raise DataError(f"{what} failed at sample {index}: {said(error)}", hint=hint) from error
        if item is end:
            return
        yield item
        index += 1


def run(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """As `call`, but raises the function's own exceptions.

    Raises:
        TooSlow: it does not end within the limit. A thread that still runs it is left behind, and ends with the process.
    """
    seconds = limit()
    if threading.current_thread() is threading.main_thread():
        return _on_the_main_thread(what, seconds, function, *arguments)
    return _on_a_thread(what, seconds, function, *arguments)


class _Expired(BaseException):
    """The alarm: the user's `except Exception` does not catch it."""


def _on_the_main_thread(
    what: str, seconds: float | None, function: Callable[..., Any], *arguments: Any
) -> Any:
    if seconds is None or _alarm.is_set():  # a function that calls another one already has its limit
        with _redirected_output():
            return function(*arguments)

    def expired(*_: object) -> None:
        raise _Expired

    before, began = signal.signal(signal.SIGALRM, expired), time.monotonic()
    _alarm.set()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        with _redirected_output():
            return function(*arguments)
    except _Expired:
        raise too_slow(what, seconds) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        _alarm.clear()
        if left:  # restore the previous alarm
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)), interval)


def _on_a_thread(what: str, seconds: float | None, function: Callable[..., Any], *arguments: Any) -> Any:
    global _thread
    with _LOCK:
        thread = _thread = _thread or _Thread()
    if threading.current_thread() is thread:
        return function(*arguments)
    answer: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    done = threading.Event()
    thread.jobs.put((answer, done, function, arguments))
    if not done.wait(seconds):
        with _LOCK:
            _thread = None
        raise too_slow(what, seconds)
    failed, value = answer.get()
    if failed:
        raise value
    return value


def too_slow(what: str, seconds: float | None) -> TooSlow:
    """The error for a function that did not end."""
    return TooSlow(
        f"{what} did not end within {seconds:g} s",
        hint=f"if it needs more time, set {LIMIT_VARIABLE} (seconds; 0 for no limit)",
    )


def limit() -> float | None:
    """Seconds that one call may take; None for no limit.

    Raises:
        UsageError: the variable does not hold a number of seconds.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        seconds = float(text or DEFAULT_SECONDS)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise UsageError(
            f"{LIMIT_VARIABLE} is no number of seconds: {text}", hint="such as 1800; 0 for no limit"
        )
    return seconds or None


_Job = tuple["SimpleQueue[tuple[bool, Any]]", threading.Event, Callable[..., Any], tuple[Any, ...]]


class _Thread(threading.Thread):
    """Runs functions one after another. The process exits without waiting for it."""

    def __init__(self) -> None:
        super().__init__(name="user-function", daemon=True)
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            answer, done, function, arguments = self.jobs.get()
            try:
                with _redirected_output():
                    answer.put((False, function(*arguments)))
            except BaseException as error:  # noqa: BLE001 - raised again in the caller
                answer.put((True, error))
            del function, arguments
            done.set()
            del answer, done


_LOCK = threading.Lock()
_thread: _Thread | None = None
_alarm = threading.Event()  # set while a function on the main thread has its limit


def said(error: BaseException) -> str:
    """A user function's exception in one line: its type, its message, and the user's line that raised it."""
    return described(error) + position(error)


def _defined(function: Callable[..., Any], error: BaseException) -> str:
    """Where a function is defined, for an error that was not raised inside it."""
    code = getattr(function, "__code__", None)
    return (
        "" if code is None or position(error) else f", at {Path(code.co_filename).name}:{code.co_firstlineno}"
    )


def numbers(what: str, found: Any, count: int, *, each: str) -> Array:
    """A function's result as float64: one number, or one for each of `count`.

    Args:
        each: what one number stands for, such as `a score a sample`.

    Raises:
        DataError: it is something else.
    """
    import numpy as np

    hint = f"return a number, or an array of shape ({count},): {each}"
    try:
        result = np.asarray(found)
    except Exception as error:  # lists of different lengths, a tensor of some framework
        raise DataError(f"{what} returned no numbers: {said(error)}", hint=hint) from error
    if result.dtype.kind not in "fiub" or result.shape not in ((), (count,)):
        raise DataError(f"{what} returned {_kind_of(found, result)}", hint=hint)
    return result.astype(np.float64)


def _kind_of(found: Any, array: Array) -> str:
    """Describes a result that is neither a number nor an array of numbers of the right shape."""
    if array.dtype.kind in "fiub":
        return f"{array.dtype} of shape {array.shape}"
    return "None" if found is None else f"a {type(found).__name__}"


@contextmanager
def _redirected_output() -> Iterator[None]:
    """Redirects what this thread prints to the log, up to a limit; other threads print as before."""
    with redirect_stdout(cast(TextIO, _Printed(sys.stdout, threading.get_ident()))):
        yield


class _Printed:
    """Replaces stdout, which is reserved for the command's own result."""

    left = PRINTED

    def __init__(self, stdout: TextIO, thread: int) -> None:
        self._stdout, self._thread = stdout, thread

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return self._stdout.write(text)
        kept = text[: _Printed.left]
        _Printed.left -= len(kept)
        if kept:
            try:
                with (home.folder("logs") / "convert.log").open(
                    "a", encoding="utf-8", errors="replace"
                ) as log:
                    log.write(kept)
            except OSError:  # a confined worker may not open it; its stderr is the command's log
                sys.stderr.write(kept)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)
