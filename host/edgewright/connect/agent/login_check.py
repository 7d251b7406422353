"""Finds out why a login does not answer: whether it runs commands, and whether they get their stdin."""

from __future__ import annotations

import threading
import time
from enum import Enum

from edgewright.connect.agent import bootstrap
from edgewright.errors import EdgewrightError
from edgewright.wire.caps import NOISE
from edgewright.wire.transport import Channel, Transport
from edgewright_agent import protocol

LIMIT_S = 60.0  # of the check, from its start


class Login(Enum):
    """What a login does with a command."""

    CUT_OFF = "unknown: the check could not start, so the link may be dead"
    SILENT = "unknown: the check started and has not ended"
    GOOD = "it runs the command, which gets its stdin, or it starts an administrator's agent"
    TAKES_STDIN = "it runs the command, but something else reads its stdin first"
    RUNS_ANOTHER = "it ends without running the command"


class LoginCheck:
    """A second command on the same link, which gets one character and then the end of its stdin; a thread watches it.

    A start-up file that reads stdin continues at that end, and an interactive shell that it runs ends there. So both
    differ from a slow board. An administrator's agent (a forced command) ends with `NO_HELLO_EXIT`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._channel: Channel | None = None
        self._closed = False
        self._result = Login.CUT_OFF
        threading.Thread(target=self._run, name="edgewright-login-check", daemon=True).start()

    def result(self) -> Login:
        """What the login does, as far as it is known by now."""
        return self._result

    def close(self) -> None:
        """Ends the check."""
        self._closed = True
        if self._channel is not None:
            self._channel.close()

    def _run(self) -> None:
        try:
            self._channel = channel = self._transport.run(bootstrap.check())
            self._result = Login.SILENT
            if not self._closed:
                channel.send(bootstrap.CHECK_INPUT, LIMIT_S, time.monotonic() + LIMIT_S)
                channel.finish()
                self._result = self._read(channel)
        except (EdgewrightError, TimeoutError, OSError, ValueError):
            return  # a server may allow one command per link; or the session closed the link
        finally:
            if self._channel is not None:
                self._channel.close()

    def _read(self, channel: Channel) -> Login:
        deadline = time.monotonic() + LIMIT_S
        output = b""
        while len(output) < NOISE.most:
            piece = channel.receive(4096, max(0.0, deadline - time.monotonic()))
            if not piece:
                return judged(output, channel.exit_code(1))
            output += piece
        return Login.SILENT


def judged(output: bytes, code: int | None) -> Login:
    """What a login did with the check, by the output and the exit code."""
    lines = output.split(b"\n")
    if any(bootstrap.STDIN_CAME.search(line) for line in lines) or code == protocol.NO_HELLO_EXIT:
        return Login.GOOD
    if any(bootstrap.LOGIN_RAN.search(line) for line in lines):
        return Login.TAKES_STDIN
    return Login.SILENT if code is None else Login.RUNS_ANOTHER
