"""The transport of this machine: the same start command, without SSH."""

from __future__ import annotations

import os
import select
import subprocess
import time

from edgewright.errors import Unreachable
from edgewright.wire.transport import Ended, Log

ENDED = "the command on this machine ended"


class LocalChannel:
    """A child process and its pipes; the contract is `transport.Channel`."""

    def __init__(self, command: str, shell: str) -> None:
        self._process = subprocess.Popen(
            [shell, "-c", command],
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
        while rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                if select.select([], [self._stdin], [], min(timeout_s, left))[1]:
                    rest = rest[os.write(self._stdin.fileno(), rest) :]
                elif timeout_s <= left:
                    raise Unreachable(f"the command on this machine took nothing for {timeout_s:g} s")
            except (OSError, ValueError) as error:
                raise Ended(ENDED) from error

    def receive(self, size: int, timeout_s: float) -> bytes:
        try:
            if not select.select([self._stdout], [], [], timeout_s)[0]:
                raise TimeoutError
            return os.read(self._stdout.fileno(), size)
        except ValueError as error:  # closed by another thread
            raise Ended(ENDED) from error

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
            self._process.kill()
            self._process.wait()
        self._log.join(1)
        self._stdout.close()
        self._stderr.close()


class LocalTransport:
    """This machine as a board; the contract is `transport.Transport`.

    Args:
        shell: stands in for the login shell.
    """

    def __init__(self, shell: str = "/bin/sh") -> None:
        self._shell = shell
        self._channels: list[LocalChannel] = []

    def run(self, command: str) -> LocalChannel:
        channel = LocalChannel(command, self._shell)
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        while self._channels:
            self._channels.pop().close()
