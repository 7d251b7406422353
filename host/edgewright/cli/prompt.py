"""Prompts for a password on the terminal, from any thread; Ctrl-C takes effect at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator

from edgewright.cli import signals
from edgewright.errors import Aborted

INTERRUPT = b"\x03"  # Ctrl-C
END_OF_FILE = b"\x04"  # Ctrl-D
MAX_BYTES = 4096
LOOK_S = 0.2


def read_password(prompt: str) -> str | None:
    """Reads a line after a prompt without echo; None if it is empty.

    Only the main thread receives a SIGINT, and a reading thread would block until Enter. So this reads Ctrl-C as a
    byte and sends the signal itself.

    Raises:
        Aborted: Ctrl-C, or a signal that stops the command. After Ctrl-C the main thread gets its KeyboardInterrupt.
    """
    with terminal() as descriptor, silent(descriptor):
        os.write(descriptor, prompt.encode("utf-8", "replace"))
        try:
            while not select.select([descriptor], [], [], LOOK_S)[0]:
                if signals.stopped():  # by a signal, which does not arrive as a byte
                    raise Aborted(f"stopped by {signals.stopped()} at a password")
            line = os.read(descriptor, MAX_BYTES)
            os.write(descriptor, b"\n")
        except OSError:  # the terminal is gone
            return None
    if line.endswith(INTERRUPT):
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGINT)  # wakes the main thread; an exception in this thread would not
        raise Aborted("stopped by the user at a password")
    return line.rstrip(b"\r\n" + END_OF_FILE).decode("utf-8", "surrogateescape") or None


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """The terminal itself, even if stdin and stdout are redirected; stdin if it cannot be opened."""
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
    """Turns echo off, and makes Ctrl-C end a line too."""
    import termios

    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] = (changed[3] | termios.ICANON) & ~(termios.ECHO | termios.ISIG)
    changed[6][termios.VEOL] = INTERRUPT
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, changed)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
