"""The worker process: reads pickled jobs from descriptor 0, answers on the former descriptor 1.

Run as `python -m edgewright.compile.workers.process MODULE...`; the modules are imported first, where they can be. A job is `(module, function, kwargs)`; an answer is
`("ok", value)` or `("error", exception)`.
Everything that a framework prints goes to stderr, which is the log file.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import struct
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO

from edgewright.compile.workers.framework_errors import refused
from edgewright.errors import EdgewrightError

_HEAD = struct.Struct("<Q")


def send(stream: BinaryIO, value: Any) -> None:
    """Writes one pickled value behind its length."""
    data = pickle.dumps(value)
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Reads what `send` wrote.

    Raises:
        EOFError: the other end is gone.
    """
    head = stream.read(_HEAD.size)
    size = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else -1
    data = stream.read(size) if size >= 0 else b""
    if size < 0 or len(data) < size:
        raise EOFError("the other end of the pipe is gone")
    return pickle.loads(data)  # noqa: S301 - both ends of the pipe are ours


def answer(job: tuple[str, str, dict[str, Any]]) -> tuple[str, Any]:
    """Runs one job. A framework's exception becomes a ConversionError that holds its telling line; the log has all of it."""
    module, function, kwargs = job
    try:
        return "ok", getattr(importlib.import_module(module), function)(**kwargs)
    except EdgewrightError as error:
        if not isinstance(error.__cause__, EdgewrightError | None):
            traceback.print_exc()
        return "error", error
    except Exception as error:  # noqa: BLE001 - frameworks raise anything; the host has to hear of it
        traceback.print_exc()
        return "error", refused(error)


def main() -> None:
    """Answers jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host ends its workers by itself
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    for name in sys.argv[1:]:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the job that wants it says so
            traceback.print_exc()
    while True:
        try:
            job = receive(jobs)
        except EOFError:
            break
        send(answers, answer(job))
        sys.stderr.flush()
    sys.stderr.flush()
    os._exit(0)  # frameworks' exit handlers are slow, and some crash


def _end_with(parent: int) -> None:
    """Ends this process and what it started once the host is gone, also in the middle of a job."""
    while os.getppid() == parent:
        time.sleep(0.5)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
