"""Progress on stderr: a live line a board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from edgewright.cli.render import clean, console
from edgewright.errors import Aborted
from edgewright.nouns.progress import STOPPED, STOPPING, Step

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


EVERY_S = 10.0  # between two plain lines about one transfer
MIB = 1024**2


def amount(step: Step) -> str:
    """How far a transfer is, how fast, and how long it will go on; empty where that is not known.

    Such as `1.2 of 3.4 MiB, 64 kB/s, 36 s left`.
    """
    if not step.rate or step.done is None or not step.total:
        return ""
    left = (step.total - step.done) / step.rate
    speed = f"{step.rate / 1e6:.1f} MB/s" if step.rate >= 1e6 else f"{step.rate / 1e3:.1f} kB/s"
    return f"{step.done / MIB:.1f} of {step.total / MIB:.1f} MiB, {speed}, {duration(left)} left"


def duration(seconds: float) -> str:
    """Such as `36 s`, `4 min` or `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


class PlainProgress:
    """Writes a line when a board begins something new, and every ten seconds how far a transfer is."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()
        self._started = time.monotonic()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, step: Step) -> None:
        """Takes a step of a workflow."""
        text = f"{step.what} {step.detail}".strip() if step.done is None else step.what
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
    """Shows a line a board that changes in place; gone when the work ends."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress: Progress = Progress(
            SpinnerColumn(), TextColumn("{task.fields[board]:<16}"), TextColumn("{task.description}"),
            BarColumn(bar_width=24), TimeElapsedColumn(), console=console(stderr=True), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, step: Step) -> None:
        """Takes a step of a workflow."""
        board = clean(step.board or "host")
        text = clean(f"{step.what} {step.detail}".strip())[:60].replace("[", "(")
        far = amount(step)
        text = f"{text} {far}" if far else text
        if step.what in (STOPPING, STOPPED):  # the host's line is hidden while boards are at work
            self._progress.console.print(text, markup=False, highlight=False)
            return
        with self._lock:
            if board not in self._tasks:
                self._tasks[board] = self._progress.add_task(text, board=board, total=None)
            task = self._tasks[board]
            if step.board and "host" in self._tasks:  # the host's part is over once boards are at work
                self._progress.update(self._tasks["host"], visible=False)
        self._progress.update(task, description=text, completed=step.done or 0, total=step.total)

    def pause(self) -> None:
        """Frees the terminal for a question."""
        self._progress.stop()

    def go_on(self) -> None:
        """Takes the terminal back."""
        self._progress.start()


def shown() -> PlainProgress | LiveProgress:
    """The progress that suits stderr."""
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
        """The password typed, or None where nobody can be asked; Aborted after a Ctrl-C."""
        if not sys.stdin.isatty():
            return None
        from edgewright.cli.prompt import read_password

        with self._lock:
            if self._stopped:
                raise Aborted("stopped by the user before its password was asked for")
            if isinstance(self._progress, LiveProgress):
                self._progress.pause()
            try:
                return read_password(f"{clean(prompt)}: ")
            except (Aborted, KeyboardInterrupt):
                self._stopped = True
                raise
            finally:
                if isinstance(self._progress, LiveProgress):
                    self._progress.go_on()
