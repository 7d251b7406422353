"""A channel to a program that runs on this machine: its pipes, its log and its exit code."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence

from edgewright.errors import Unreachable
from edgewright.wire.transport import Ended, Log

LOOKS = 8  # for signs of life within a time limit


class ProcessChannel:
    """A child process and its pipes; the contract is `transport.Channel`.

    Args:
        arguments: the program and what it is called with.
        label: what it is, for messages: "the command on this machine".
    """

    def __init__(self, arguments: Sequence[str], label: str) -> None:
        self._label = label
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr  # noqa: S101  (for mypy)
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._stderr = self._process.stderr
        os.set_blocking(self._stdin.fileno(), False)
        self._log = Log(lambda: os.read(self._stderr.fileno(), 65536), "edgewright-stderr")

    def send(self, data: bytes | memoryview, timeout_s: float, deadline: float) -> None:
        rest = memoryview(data)
        since, said = time.monotonic(), self._said()
        while rest:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            try:
                if select.select([], [self._stdin], [], min(timeout_s / LOOKS, deadline - now))[1]:
                    rest, since = rest[os.write(self._stdin.fileno(), rest) :], time.monotonic()
                    continue
            except (OSError, ValueError) as error:
                raise self._ended() from error
            if self._said() > said:  # nothing is read while bytes are sent, so what it says piles up
                since, said = time.monotonic(), self._said()
            elif time.monotonic() - since >= timeout_s:
                raise Unreachable(f"{self._label} took nothing for {timeout_s:g} s")

    def _said(self) -> int:
        """Bytes that wait to be read."""
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._stdout, termios.FIONREAD, bytes(4)))[0])
        except (OSError, ValueError):  # closed by another thread
            return 0

    def receive(self, size: int, timeout_s: float) -> bytes:
        try:
            if not select.select([self._stdout], [], [], timeout_s)[0]:
                raise TimeoutError
            return os.read(self._stdout.fileno(), size)
        except ValueError as error:  # closed by another thread
            raise self._ended() from error

    def _ended(self) -> Ended:
        return Ended(f"{self._label} ended")

    def taken(self) -> int:
        return 0

    def log(self) -> str:
        return self._log.text()

    def exit_code(self, timeout_s: float) -> int | None:
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._log.join(1)
        return code if code >= 0 else None

    def finish(self) -> None:
        self._stdin.close()

    def close(self) -> None:
        self._stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._log.join(1)
        self._stdout.close()
        self._stderr.close()
