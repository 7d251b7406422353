"""The signals that stop a command: Ctrl-C, SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal).

The first signal raises KeyboardInterrupt with the text `stopped()` in the main thread: active boards finish their step. A second
Ctrl-C or a later SIGTERM abandons them.
"""

from __future__ import annotations

import _thread
import os
import signal
import time
from types import FrameType

from edgewright.errors import Exit

TOGETHER_S = 1.0  # seconds; `timeout`, shells and service managers signal both a process and its group
AGAIN_S = 0.02  # seconds until a signal that came where Python drops exceptions is sent again
_received: list[tuple[signal.Signals, float]] = []


def watch() -> None:
    """Installs the handlers; a signal that the parent ignores, as under `nohup`, stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    if _swallowed(frame):
        _thread.start_new_thread(_again, (number,))  # `threading` takes locks that this thread may hold now
        return
    now = time.monotonic()
    if (
        number != signal.SIGINT
        and _received
        and (number == signal.SIGHUP or now - _received[-1][1] < TOGETHER_S)
    ):
        return
    _received.append((signal.Signals(number), now))
    raise KeyboardInterrupt(stopped())


def _again(number: int) -> None:
    time.sleep(AGAIN_S)
    os.kill(os.getpid(), number)


def _swallowed(frame: FrameType | None) -> bool:
    """Whether Python drops an exception that is raised here: in a finaliser, or in the callback that ends an import's lock."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or (code.co_name == "cb" and "importlib" in code.co_filename):
            return True
        frame = frame.f_back
    return False


def over() -> None:
    """Ignores the signals once the command has ended, so that a late one cannot change the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def stopped() -> str:
    """What stopped the command: `the user`, or the name of a signal; empty if nothing did."""
    if not _received:
        return ""
    first = _received[0][0]
    return "the user" if first == signal.SIGINT else first.name


def exit_code(code: int) -> int:
    """The exit code of a command that ends with `code`: a stopped command never exits with 0, whatever it finished."""
    left = len(_received) > 1
    return int(Exit.ABORTED if _received and (left or code == Exit.OK) else code)
