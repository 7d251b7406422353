"""The handshake: the hello, and the answers to it among whatever else the login prints."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from edgewright import targets
from edgewright.connect.agent import bootstrap, versions
from edgewright.connect.agent.package import AgentPackage
from edgewright.connect.agent.refusals import board_error
from edgewright.connect.agent.sanitize import clean
from edgewright.connect.agent.start_errors import NOISE_HINT, Failure, quoted
from edgewright.errors import ProtocolError
from edgewright.wire.answers import Recovered
from edgewright.wire.caps import NOISE
from edgewright.wire.commands import UPDATE
from edgewright.wire.stream import Stream
from edgewright_agent import protocol

MOST_TRIES = 64  # braces of a line at which an answer may start: a hostile line must not cost quadratic time
_DECODER = json.JSONDecoder(parse_int=protocol.whole, parse_float=protocol.real, parse_constant=protocol.real)


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's first message.

    Attributes:
        agent: its version.
        sha256: of the `.pyz` that runs; with a forced command it may differ from the one that the host offered.
        python: the board's Python version.
        root: absolute path of the root folder.
        board_id: the id of the root folder.
        serial, simulated: as in the facts; None for an older agent.
        recovered: the trials that the agent reverted when it started.
        runners: sha256s of the runners on the board; None for an older agent, which carries its own runners.
        forced: an administrator installed the agent and all runners that it uses.
    """

    edgewright: int
    agent: str
    sha256: str = ""
    python: str = ""
    root: str = ""
    board_id: str = ""
    serial: str | None = None
    simulated: tuple[str, ...] | None = None
    recovered: tuple[Recovered, ...] = ()
    runners: tuple[str, ...] | None = None
    forced: bool = False


def hello(
    package: AgentPackage, root: str, nonce: str, group: str | None = None, ping_s: float | None = None
) -> bytes:
    """The hello line."""
    line: bytes = protocol.encode(
        {
            "edgewright": protocol.VERSION,
            "nonce": nonce,
            "agent": {"sha256": package.sha256, "size": len(package.data)},
            "root": root,
            "group": group,
            "ping_s": ping_s,
            "host": socket.gethostname(),
            "runtimes": targets.system_distributions(),
            "loader": package.loader,
        }
    )
    return line


class Answers:
    """Reads the answers with this session's nonce, and keeps apart whatever else the login prints before them.

    Attributes:
        noise: everything else that came, without the start script's own lines.
        python: the Python that the start script started last; empty if the script does not run, or not yet.
        failures: the Pythons that the script tried in vain.
    """

    def __init__(self, stream: Stream, nonce: str) -> None:
        self._stream = stream
        self._nonce = nonce
        self._room = NOISE.most
        self.noise = b""
        self.python = ""
        self.failures: list[Failure] = []

    def next(self, deadline: float) -> dict[str, Any]:
        """The next answer; raises TimeoutError after the deadline."""
        while True:
            try:
                line = self._stream.line(deadline, self._room)
            except ProtocolError as error:
                raise ProtocolError(
                    f"more than {NOISE.most} bytes came and no greeting{quoted(self.noise)}", hint=NOISE_HINT
                ) from error
            answer = self._read(line)
            if answer is not None:
                return answer

    def last(self, within_s: float) -> dict[str, Any] | None:
        """Reads what is left of a command that has ended, including a last line without an end; the answer in it, if any."""
        for line in self._stream.rest(self._room, time.monotonic() + within_s).splitlines(keepends=True):
            answer = self._read(line)
            if answer is not None:
                return answer
        return None

    def _read(self, line: bytes) -> dict[str, Any] | None:
        """The answer in a line; other lines are noted."""
        answer = found_answer(line, self._nonce)
        if answer is None:
            self._room -= len(line)
            self._note(line)
        return answer

    def _note(self, line: bytes) -> None:
        started, failed = bootstrap.STARTED.search(line), bootstrap.FAILED.search(line)
        if started:
            self.python = started[1].decode("ascii")
        if failed:
            code, python, version = failed.groups(b"")
            self.failures.append(Failure(int(code), python.decode("ascii"), version.decode("ascii")))
        own = started or failed
        self.noise += line[: own.start()] + b"\n" if own else line


def found_answer(line: bytes, nonce: str) -> dict[str, Any] | None:
    """The answer to a hello with this nonce, wherever it stands in the line; None if there is none.

    A login may print anything before it on the same line, also braces. A start-up file may print the hello itself,
    which is no answer: it has a loader.

    Raises:
        ProtocolError: it is nested too deeply.
    """
    text = line.decode("utf-8", "replace")
    for start in starts(text, text.rfind(nonce)):
        try:
            answer: dict[str, Any] = clean(_DECODER.raw_decode(text, start)[0])
        except RecursionError as error:
            raise ProtocolError("a line from the board is nested too deeply", hint=UPDATE) from error
        except ValueError:
            continue
        if answer.get("nonce") == nonce and "loader" not in answer:
            return answer
    return None


def starts(text: str, end: int) -> Iterator[int]:
    """Where an object that holds the text at `end` may start: the last places first, then the first one."""
    first, start = text.find('{"'), end
    for _ in range(MOST_TRIES - 1):
        start = text.rfind("{", 0, max(start, 0))
        if start < 0:
            return
        yield start
    if 0 <= first < start:
        yield first


def as_greeting(answer: dict[str, Any], board: str = "BOARD") -> Greeting:
    """A checked greeting.

    Args:
        answer: the answer, already cleaned.
        board: the board's name, for a hint.
    """
    if "error" in answer:
        raise board_error(answer["error"], "", board)
    if answer.get("edgewright") != protocol.VERSION:
        raise versions.another_wire(answer.get("edgewright"))
    try:
        return msgspec.convert(answer, Greeting)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"the board's greeting is not valid: {error}", hint="update its agent") from error
