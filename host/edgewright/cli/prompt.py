"""Prompts for a password on the terminal, from any thread; Ctrl-C takes effect at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from edgewright.errors import Aborted

INTERRUPT = b"\x03"  # Ctrl-C
END_OF_FILE = b"\x04"  # Ctrl-D
MAX_BYTES = 4096


def read_password(prompt: str) -> str | None:
    """The line typed after a prompt, not shown; None for an empty one.

    Only the main thread learns of a SIGINT, and a thread that reads would go on until Enter: so Ctrl-C is read
    as a byte here, and passed on as the signal.

    Raises:
        Aborted: Ctrl-C. The main thread gets its KeyboardInterrupt.
    """
    with terminal() as descriptor, silent(descriptor):
        os.write(descriptor, prompt.encode("utf-8", "replace"))
        try:
            line = os.read(descriptor, MAX_BYTES)
            os.write(descriptor, b"\n")
        except OSError:  # the terminal is gone
            return None
    if line.endswith(INTERRUPT):
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        os.kill(
            os.getpid(), signal.SIGINT
        )  # it wakes the main thread, as one raised in this thread would not
        raise Aborted("stopped by the user at a password")
    return line.rstrip(b"\r\n" + END_OF_FILE).decode("utf-8", "surrogateescape") or None


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """The terminal itself, whatever stdin and stdout are; stdin where it cannot be opened."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        yield sys.stdin.fileno()
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def silent(descriptor: int) -> Iterator[None]:
    """A terminal that shows nothing typed, and ends a line at Ctrl-C too."""
    import termios

    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] = (changed[3] | termios.ICANON) & ~(termios.ECHO | termios.ISIG)
    changed[6][termios.VEOL] = INTERRUPT
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, changed)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
