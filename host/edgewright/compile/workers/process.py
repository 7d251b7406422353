"""The worker process: reads pickled jobs from descriptor 0, answers on the former descriptor 1.

Run as `python -P -m edgewright.compile.workers.process MODULE...`. First it reads the `Rules` that confine it, or None, and answers `("confined", InForce)`.
Then it imports the modules that it can import. A job is `(module, function, kwargs)`; an answer is `("ok", value)` or `("error", exception)`.
Everything that a framework prints goes to stderr, which is the log file.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from edgewright.compile.workers import plain_answers
from edgewright.compile.workers.confinement.confine import InForce, confine
from edgewright.compile.workers.confinement.rules import READABLE
from edgewright.compile.workers.framework_errors import refused, unreadable
from edgewright.compile.workers.messages import STOPS, receive, send
from edgewright.errors import EdgewrightError

_MAY_NOT = "the worker may not open "
_held: set[str] = set()  # what confines this process


def answer(job: tuple[str, str, dict[str, Any]]) -> tuple[str, Any]:
    """Runs one job. A framework's exception becomes a ConversionError with the line that states the reason; the log has the rest."""
    module, function, kwargs = job
    try:
        return "ok", getattr(importlib.import_module(module), function)(**kwargs)
    except EdgewrightError as error:
        if not isinstance(error.__cause__, EdgewrightError | None):
            traceback.print_exc()
        return "error", _with_permission(error, error)
    except Exception as error:  # noqa: BLE001 - frameworks raise anything; report it to the host
        traceback.print_exc()
        return "error", _with_permission(refused(error), error)


def _with_permission(shown: EdgewrightError, error: BaseException) -> EdgewrightError:
    """The error to show; if the confinement may have caused it, its hint first says what to do about that."""
    path = unreadable(error) if _held else ""
    if path and not shown.hint.startswith(_MAY_NOT):
        what = f"{_MAY_NOT}{path}: if it belongs to a library, allow it by {READABLE}={Path(path).parent}"
        shown.hint = "; ".join(filter(None, (what, shown.hint)))
    return shown


def main() -> None:
    """Answers jobs until the pipe closes."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # blocked by the host, so that none came before this
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        rules = receive(jobs)
    except EOFError:
        os._exit(1)
    # before any import that starts a thread: existing threads would keep all their rights
    held = InForce() if rules is None else confine(rules)
    _held.update(filter(None, (held.files,)))
    send(answers, ("confined", held), plain_answers.written)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    for name in sys.argv[1:]:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - the job that needs it reports what is wrong
            traceback.print_exc()
    while True:
        try:
            job = receive(jobs)
        except EOFError:
            break
        send(answers, answer(job), plain_answers.written)
        sys.stderr.flush()
    sys.stderr.flush()
    os._exit(0)  # frameworks' exit handlers are slow, and some crash


def _end_with(parent: int) -> None:
    """Ends this process and its children once the host is gone, even in the middle of a job."""
    while os.getppid() == parent:
        time.sleep(0.5)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
