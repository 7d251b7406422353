"""The protocols of a transport: run one command on a board, exchange bytes with it."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Protocol

from edgewright.errors import Unreachable

LOG_BYTES = 256 * 1024  # of a command's stderr, the newest are kept
SLOWEST = 256  # bytes/s: a transfer that is slower is given up, even if it moves
LEAST_TAKEN = (
    1024  # bytes within a silence that tell a slow link from one that only answers a server's keepalives
)
AskPassword = Callable[[str], str | None]


class Ended(Unreachable):
    """The command's stdout or stdin ended: it is gone, or the link is."""


class Channel(Protocol):
    """One running command: its stdin, stdout and stderr.

    stderr is drained all the time by a thread of the channel's own: over SSH it shares one window with
    stdout, so a full one would stop both.
    """

    def send(self, data: bytes | memoryview, timeout_s: float, deadline: float) -> None:
        """Writes all of `data` to the command's stdin, however slowly, up to the deadline.

        Args:
            deadline: `time.monotonic()` past which it is too late, even if bytes still move.

        Raises:
            TimeoutError: the deadline passed; the link may be cut then.
            Ended: the link broke, or the command ended.
            Unreachable: nothing was taken or received for `timeout_s` seconds.
        """

    def receive(self, size: int, timeout_s: float) -> bytes:
        """At least one and at most `size` bytes of stdout; none at its end.

        Raises:
            TimeoutError: nothing came for `timeout_s` seconds.
            Ended: the link broke.
        """

    def taken(self) -> int:
        """Bytes that the other end has acknowledged so far: it grows while a slow link carries what was sent.

        Always 0 where that cannot be known.
        """

    def log(self) -> str:
        """The newest part of stderr."""

    def exit_code(self, timeout_s: float) -> int | None:
        """The command's exit code; None when there is none within `timeout_s` seconds (a signal, a cut)."""

    def finish(self) -> None:
        """Closes the command's stdin."""

    def close(self) -> None:
        """Gives the channel up at once; may be called from another thread and more than once."""


class Transport(Protocol):
    """A link to one board."""

    def run(self, command: str) -> Channel:
        """Starts a command line in the login's shell.

        Raises:
            Unreachable: the board does not start it.
        """

    def close(self) -> None:
        """Cuts the link; may be called from another thread and more than once."""


class Log:
    """The newest bytes of a stream, filled by a thread."""

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
                while self._size > LOG_BYTES and len(self._pieces) > 1:
                    self._size -= len(self._pieces.popleft())

    def text(self) -> str:
        """What is kept, undecodable bytes replaced."""
        with self._lock:
            return b"".join(self._pieces)[-LOG_BYTES:].decode("utf-8", "replace")

    def join(self, timeout_s: float) -> None:
        """Waits for the stream's end."""
        self._thread.join(timeout_s)
