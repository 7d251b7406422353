"""Reads lines and raw bytes from a channel within strict bounds: the board may be hostile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from edgewright.errors import ProtocolError, Unreachable
from edgewright.wire.caps import LINE
from edgewright.wire.commands import UPDATE
from edgewright.wire.transport import LEAST_TAKEN, Channel, Ended
from edgewright_agent import protocol


class Stream:
    """Reads a board's output.

    Args:
        silence_s: the link counts as dead if no byte arrives for this long, unless the board still receives what was sent.
    """

    def __init__(self, channel: Channel, silence_s: float) -> None:
        self._channel = channel
        self._silence_s = silence_s
        self._buffer = bytearray()

    def line(self, deadline: float, limit: int = LINE.most) -> bytes:
        """The next line, including its end.

        Args:
            deadline: `time.monotonic()` after which it is too late, whatever still trickles in.

        Raises:
            TimeoutError: the deadline passed.
            ProtocolError: the line is longer than `limit` bytes.
            Unreachable: the link is dead or ended.
        """
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if (end if end >= 0 else len(self._buffer)) >= limit:
                raise ProtocolError(f"a line from the board is longer than {limit} bytes", hint=UPDATE)
            if end >= 0:
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                return line
            searched = len(self._buffer)
            self._buffer += self._more(65536, deadline)

    def waiting(self) -> list[bytes]:
        """The complete lines that have already arrived; they are not consumed."""
        with contextlib.suppress(TimeoutError):
            self._buffer += self._channel.receive(65536, 0)
        return bytes(self._buffer).split(b"\n")[:-1]

    def rest(self, most: int, deadline: float) -> bytes:
        """What is left, up to the end of the output, the deadline or `most` bytes: also a last line without an end."""
        with contextlib.suppress(TimeoutError, Unreachable):
            while len(self._buffer) < most:
                self._buffer += self._more(65536, deadline)
        rest = bytes(self._buffer[:most])
        self._buffer.clear()
        return rest

    def raw(self, size: int, write: Callable[[bytes], Any], deadline: float) -> None:
        """Reads exactly `size` bytes, passed on in pieces of at most `protocol.PIECE`."""
        rest = size
        while rest:
            if not self._buffer:
                self._buffer += self._more(min(protocol.PIECE, rest), deadline)
            piece = bytes(self._buffer[: min(rest, protocol.PIECE)])
            del self._buffer[: len(piece)]
            write(piece)
            rest -= len(piece)

    def _more(self, size: int, deadline: float) -> bytes:
        while True:
            left, taken = deadline - time.monotonic(), self._channel.taken()
            if left <= 0:
                raise TimeoutError
            try:
                piece = self._channel.receive(size, min(left, self._silence_s))
            except TimeoutError:
                if left <= self._silence_s:
                    raise
                if (
                    self._channel.taken() - taken >= LEAST_TAKEN
                ):  # not silence: the other end is still receiving what was sent
                    continue
                raise Unreachable(
                    f"the board sent nothing for {self._silence_s:g} s",
                    hint="check that it is on and its link is up",
                ) from None
            if not piece:
                raise Ended("the link to the board ended", hint="check that it is on, then try again")
            return piece
