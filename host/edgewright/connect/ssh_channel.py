"""One command over SSH: its bytes, its log, its end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from edgewright.connect.transport import Ended, Log
from edgewright.errors import Unreachable


class SshChannel:
    """One exec channel; the contract is `transport.Channel`.

    Args:
        channel: paramiko's.
        cut: closes the whole link.
        label: the board in messages.
    """

    def __init__(self, channel: Any, cut: Callable[[], None], label: str) -> None:
        self._channel = channel
        self._cut = cut
        self._label = label
        self._log = Log(self._read_stderr, f"edgewright-stderr-{label}")

    def _read_stderr(self) -> bytes:
        while True:
            try:
                piece: bytes = self._channel.recv_stderr(65536)
                return piece
            except TimeoutError:  # the channel's timeout is that of stdout
                continue

    def send(self, data: bytes | memoryview, timeout_s: float) -> None:
        self._channel.settimeout(timeout_s)
        # a full TCP buffer blocks paramiko past any timeout, so the link is cut from outside
        alarm = threading.Timer(timeout_s + len(data) / 1024, self._cut)
        alarm.daemon = True
        alarm.start()
        try:
            self._channel.sendall(memoryview(data))
        except TimeoutError as error:
            raise Unreachable(
                f"{self._label} took nothing for {timeout_s:g} s", hint="is its link up?"
            ) from error
        except (OSError, EOFError) as error:
            raise Ended(f"the link to {self._label} broke", hint="is it still switched on?") from error
        finally:
            alarm.cancel()

    def receive(self, size: int, timeout_s: float) -> bytes:
        self._channel.settimeout(timeout_s)
        try:
            piece: bytes = self._channel.recv(size)
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Ended(f"the link to {self._label} broke", hint="is it still switched on?") from error
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
