"""One command over SSH: its data, its log and its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from edgewright.connect.ssh.watch import Life, Watch
from edgewright.errors import Unreachable
from edgewright.wire.transport import Ended, Log


class SshChannel:
    """One exec channel; the contract is `transport.Channel`.

    Args:
        channel: paramiko's.
        cut: closes the whole link.
        label: the board in messages.
        acknowledged: bytes that the other end's TCP has acknowledged on this link.
    """

    def __init__(
        self, channel: Any, cut: Callable[[], None], label: str, acknowledged: Callable[[], int]
    ) -> None:
        self._channel = channel
        self._cut = cut
        self._label = label
        self._acknowledged = acknowledged
        self._log = Log(self._read_stderr, f"edgewright-stderr-{label}")

    def _read_stderr(self) -> bytes:
        while True:
            try:
                piece: bytes = self._channel.recv_stderr(65536)
                return piece
            except TimeoutError:  # paramiko shares the channel's timeout between stdout and stderr
                continue

    def send(self, data: bytes | memoryview, timeout_s: float, deadline: float) -> None:
        rest = memoryview(data)
        with Watch(self._life, self._cut, timeout_s, deadline) as watch:
            while rest:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._channel.settimeout(min(timeout_s, left))
                rest = rest[self._send(rest, watch) :]

    def _send(self, rest: memoryview, watch: Watch) -> int:
        """Sends a packet; returns the bytes that it held, 0 if the window stays closed."""
        try:
            count = int(self._channel.send(rest))
        except TimeoutError:
            return 0  # the watch limits how long that may last
        except (OSError, EOFError) as error:
            raise self._broken(watch) from error
        if not count:
            raise self._broken(watch)
        watch.packets += 1
        return count

    def _broken(self, watch: Watch) -> Unreachable | TimeoutError:
        if watch.late:
            return TimeoutError()
        if not watch.cut:
            return Ended(f"the link to {self._label} broke", hint="check that it is on")
        return Unreachable(
            f"{self._label} took nothing for {watch.timeout_s:g} s",
            hint="check that it is on and its link is up",
        )

    def _life(self) -> Life:
        # nothing is read while bytes are sent, so the agent's output piles up here
        return Life(self._acknowledged(), len(self._channel.in_buffer))

    def taken(self) -> int:
        return self._acknowledged()

    def receive(self, size: int, timeout_s: float) -> bytes:
        self._channel.settimeout(timeout_s)
        try:
            piece: bytes = self._channel.recv(size)
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Ended(f"the link to {self._label} broke", hint="check that it is on") from error
        return piece

    def log(self) -> str:
        return self._log.text()

    def exit_code(self, timeout_s: float) -> int | None:
        self._channel.status_event.wait(timeout_s)
        self._log.join(1)
        code = int(self._channel.exit_status)
        return code if code >= 0 else None

    def finish(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()
