"""The protocols of a transport: run one command on a board, exchange bytes with it."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Protocol

from edgewright.errors import Unreachable
from edgewright.wire.caps import STDERR

SLOWEST = 256  # bytes/s: a transfer that is slower is given up, even if it moves
LEAST_TAKEN = (
    1024  # bytes within a silence that tell a slow link from one that only answers a server's keepalives
)
AskPassword = Callable[[str], str | None]


class Ended(Unreachable):
    """The command's stdout or stdin was closed: the command has ended, or the link is broken."""


class Channel(Protocol):
    """One running command: its stdin, stdout and stderr.

    A separate thread drains stderr all the time: over SSH it shares one window with
    stdout, so a full window would block both.
    """

    def send(self, data: bytes | memoryview, timeout_s: float, deadline: float) -> None:
        """Writes all of `data` to the command's stdin, however slowly, up to the deadline.

        Args:
            deadline: `time.monotonic()` after which it is too late, even if bytes still move.

        Raises:
            TimeoutError: the deadline passed; the link may have been cut.
            Ended: the link broke, or the command ended.
            Unreachable: nothing was acknowledged or received for `timeout_s` seconds.
        """

    def receive(self, size: int, timeout_s: float) -> bytes:
        """At least one and at most `size` bytes of stdout; empty at its end.

        Raises:
            TimeoutError: nothing arrived for `timeout_s` seconds.
            Ended: the link broke.
        """

    def taken(self) -> int:
        """Bytes that the other end has acknowledged so far: it grows while a slow link transmits.

        Always 0 if that cannot be known.
        """

    def log(self) -> str:
        """The newest part of stderr."""

    def exit_code(self, timeout_s: float) -> int | None:
        """The command's exit code; None if there is none within `timeout_s` seconds (a signal, a broken link)."""

    def finish(self) -> None:
        """Closes the command's stdin."""

    def close(self) -> None:
        """Closes the channel at once; may be called from another thread and more than once."""


class Transport(Protocol):
    """A link to one board."""

    def run(self, command: str) -> Channel:
        """Starts a command line in the login's shell.

        Raises:
            Unreachable: the board did not start it.
        """

    def close(self) -> None:
        """Cuts the link; may be called from another thread and more than once."""


class Log:
    """The newest bytes of a stream, read by a thread."""

    def __init__(self, read: Callable[[], bytes], name: str) -> None:
        self._pieces: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._lock = threading.Lock()
        self._read = read
        self._thread = threading.Thread(target=self._drain, name=name, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while True:
            try:
                piece = self._read()
            except (OSError, ValueError):
                return
            if not piece:
                return
            with self._lock:
                self._pieces.append(piece)
                self._size += len(piece)
                while self._size > STDERR.most and len(self._pieces) > 1:
                    self._size -= len(self._pieces.popleft())

    def text(self) -> str:
        """The kept bytes as text, with undecodable bytes replaced."""
        with self._lock:
            return b"".join(self._pieces)[-STDERR.most :].decode("utf-8", "replace")

    def join(self, timeout_s: float) -> None:
        """Waits for the end of the stream."""
        self._thread.join(timeout_s)
