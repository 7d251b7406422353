"""Progress on stderr: one live line per board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from edgewright.cli import render, signals
from edgewright.cli.live_rows import Row, picture, rate
from edgewright.cli.render import clean, console, note
from edgewright.errors import Aborted
from edgewright.nouns.progress import DONE, FAILURE, NOTE, STOPPED, STOPPING, WAITING, ProgressEvent

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text


EVERY_S = 10.0  # seconds between two plain lines about one transfer
WAKE_S = 0.5
MIB = 1024**2
HOST = "host"


def amount(step: ProgressEvent) -> str:
    """The progress, speed and remaining time of a transfer; empty if they are unknown.

    Such as `1.2 of 3.4 MiB, 64 kB/s, 36 s left`.
    """
    if not step.rate or step.done is None or not step.total:
        return ""
    left = (step.total - step.done) / step.rate
    return f"{step.done / MIB:.1f} of {step.total / MIB:.1f} MiB, {rate(step.rate)}, {duration(left)} left"


def duration(seconds: float) -> str:
    """A duration such as `36 s`, `4 min` or `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


class Terminal:
    """Access to the terminal, for one question or result at a time."""

    def __init__(self) -> None:
        self._free = threading.RLock()  # reentrant: printing during a question takes it again

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Waits until the terminal is free. Polls, because a Ctrl-C in another thread does not wake one that waits for a lock."""
        while not self._free.acquire(timeout=WAKE_S):
            pass
        try:
            yield
        finally:
            self._free.release()


class PlainProgress:
    """Writes a line when a board begins a new step, and the progress of a transfer every ten seconds."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()
        self._terminal = Terminal()
        self._started = time.monotonic()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Like `LiveProgress.away`; plain lines stay in place."""
        with self._terminal.taken():
            yield

    def __call__(self, step: ProgressEvent) -> None:
        """Shows a step of a workflow."""
        if step.stage == NOTE:
            note(step.detail)
            return
        if step.stage in (WAITING, DONE, FAILURE):  # the results report these
            return
        text = f"{step.stage} {step.detail}".strip() if step.done is None else step.stage
        with self._lock:
            seconds = time.monotonic() - self._started
            if self._last.get(step.board, "").startswith(text):
                far = amount(step)
                if not far or step.done == step.total or seconds - self._told[step.board] < EVERY_S:
                    return
                text = f"{text} {step.detail} {far}"
            else:
                self._last[step.board] = text
            self._told[step.board] = seconds
            sys.stderr.write(f"{seconds:6.1f} s  {clean(step.board or 'host'):<16} {clean(text)}\n")
            sys.stderr.flush()


class LiveProgress:
    """Shows one line per board, updated in place; the display disappears when the work ends."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()
        self._terminal = Terminal()
        self._away = 0
        self._live: Live | None = None

    def _start(self) -> None:
        """Starts a new display below the printed output: restarting the old one would move the cursor up over it."""
        from rich.live import Live

        self._live = Live(
            get_renderable=self._picture, console=self._console, transient=True, refresh_per_second=8,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> LiveProgress:
        self._start()
        render.live.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        render.live.remove(self)
        self._stop()

    def __call__(self, step: ProgressEvent) -> None:
        """Shows a step of a workflow."""
        if step.stage == NOTE or step.stage in (STOPPING, STOPPED):
            note(step.detail if step.stage == NOTE else f"{step.stage} {step.detail}")
            return
        board = clean(step.board or HOST)
        with self._lock:
            if step.board:
                self._rows.pop(HOST, None)  # the host has finished its part once a board works
            now = time.monotonic()
            self._rows.setdefault(board, Row(board, now)).take(step, now)

    def _picture(self) -> Text:
        """The current display."""
        from rich.text import Text

        with self._lock:
            size = self._console.size
            lines = picture(list(self._rows.values()), time.monotonic(), size.width - 1, size.height - 1)
        return Text("\n", no_wrap=True).join(Text(one.text, style=one.style or "") for one in lines)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Hides the display for a question or a result; other threads wait to print."""
        with self._terminal.taken():
            self._away += 1
            if self._away == 1:
                self._stop()
            try:
                yield
            finally:
                self._away -= 1
                if not self._away and self in render.live:
                    self._start()


def shown() -> PlainProgress | LiveProgress:
    """The kind of progress that suits stderr."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


class Passwords:
    """Asks for passwords on the terminal, one board at a time; keeps none.

    Args:
        progress: paused while asking.
    """

    def __init__(self, progress: PlainProgress | LiveProgress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = False

    def __call__(self, prompt: str) -> str | None:
        """The typed password, or None if there is no way to ask; raises Aborted after a Ctrl-C."""
        if not sys.stdin.isatty():
            return None
        from edgewright.cli.prompt import read_password

        with self._lock:
            if self._stopped:
                raise Aborted(
                    f"stopped by {signals.stopped() or 'the user'} before its password was asked for"
                )
            try:
                with self._progress.away():
                    return read_password(f"{clean(prompt)}: ")
            except (Aborted, KeyboardInterrupt):
                self._stopped = True
                raise
