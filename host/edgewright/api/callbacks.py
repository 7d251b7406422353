"""Wraps a caller's callbacks: one call at a time, and a failing progress display does not stop the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from edgewright.errors import EdgewrightError
from edgewright.nouns.progress import STOPPED, STOPPING, Progress, ProgressEvent, silent
from edgewright.wire.transport import AskPassword

T = TypeVar("T")
AFTER_A_STOP = (STOPPING, STOPPED)  # after these, the run still waits for the boards' results


def guarded(progress: Progress | None) -> Progress:
    """Makes a caller's progress callback safe for the threads of boards.

    On the host, between the steps of a conversion, an EdgewrightError from the callback, such as Aborted, stops the work. Any
    other exception is a bug of the display: it is logged, and the callback is not called again. No exception from the callback
    disturbs the session with a board.
    """
    if progress is None:
        return silent
    lock, broken = threading.Lock(), threading.Event()

    def report(event: ProgressEvent) -> None:
        with lock:
            if broken.is_set():
                return
            try:
                progress(event)
            except Exception as error:
                if isinstance(error, EdgewrightError) and not event.board and event.stage not in AFTER_A_STOP:
                    raise
                broken.set()
                logging.getLogger("edgewright").exception(
                    "the progress callback failed and is not called again"
                )

    return report


def guarded_early(early: Callable[[T], None] | None) -> Callable[[T], None] | None:
    """Makes a caller's callback for early results safe: logs an exception and stops calling it. The result has those boards too."""
    if early is None:
        return None
    broken = threading.Event()

    def take(found: T) -> None:
        if broken.is_set():
            return
        try:
            early(found)
        except Exception:
            broken.set()
            logging.getLogger("edgewright").exception("the early callback failed and is not called again")

    return take


def one_at_a_time(ask: AskPassword | None) -> AskPassword | None:
    """Makes a caller's password callback run for one board at a time."""
    if ask is None:
        return None
    lock = threading.Lock()

    def asked(prompt: str) -> str | None:
        with lock:
            return ask(prompt)

    return asked
