"""The handshake: from a started command to the agent's greeting."""

from __future__ import annotations

import secrets
import socket
import time
from typing import Any

import msgspec

from edgewright import targets
from edgewright.connect.agent import versions
from edgewright.connect.agent.package import AgentPackage
from edgewright.connect.agent.refusals import board_error
from edgewright.connect.agent.sanitize import clean, read_message
from edgewright.errors import BoardError, Code, EdgewrightError, ProtocolError, Unreachable
from edgewright.wire.answers import Recovered
from edgewright.wire.stream import Stream
from edgewright.wire.transport import SLOWEST, Channel, Ended
from edgewright_agent import protocol

NOISE_HINT = (
    "does the login's shell start-up file (such as ~/.bashrc) print or run something? make it silent for SSH"
)
NO_PYTHON_HINT = "install python3 (3.6 or newer) there, or name it with `python` in the fleet file"


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's first word.

    Attributes:
        agent: its version.
        sha256: of the `.pyz` that runs; with a forced command it may differ from the one that was offered.
        python: the board's Python version.
        root: absolute path of the root folder.
        board_id: the id of the root folder.
        recovered: the trials that the agent reverted at its start.
        runners: sha256s of the runners that are on the board; None: its agent is older and carries its own.
        forced: its agent was installed by an administrator, and so were all runners that it uses.
    """

    edgewright: int
    agent: str
    sha256: str = ""
    python: str = ""
    root: str = ""
    board_id: str = ""
    recovered: tuple[Recovered, ...] = ()
    runners: tuple[str, ...] | None = None
    forced: bool = False


def greet(
    channel: Channel,
    stream: Stream,
    package: AgentPackage,
    root: str,
    silence_s: float,
    within_s: float,
    group: str | None = None,
    ping_s: float | None = None,
    board: str = "BOARD",
) -> Greeting:
    """Sends the hello, ships the agent when it is asked for, and waits for the greeting.

    Args:
        root: the root folder on the board.
        board: its name, for hints.
        group: the shared group, whose members may read the models.
        ping_s: promise that the host says a word so often, also while a command works.
        within_s: seconds from the hello to the board's answer, and from the agent's bytes to the greeting;
            there come those that the bytes may take to arrive.

    Raises:
        BoardError: no Python there, or the agent cannot start.
        ProtocolError: too much noise, or another version of the protocol.
        Unreachable: no answer in time, or the link broke.
    """
    nonce = secrets.token_hex(16)
    first = hello(package, root, nonce, group, ping_s)
    answers = Answers(stream, nonce)
    try:
        channel.send(first, silence_s, time.monotonic() + within_s + len(first) / SLOWEST)
        answer = answers.next(time.monotonic() + within_s)
        if "need" in answer:
            within_s += len(package.data) / SLOWEST
            channel.send(package.data, silence_s, time.monotonic() + within_s)
            answer = answers.next(time.monotonic() + within_s)
    except Ended as error:
        raise explain_end(channel, answers.noise) from error
    except TimeoutError as error:
        raise Unreachable(
            f"the board sent no greeting within {within_s:g} s{quoted(answers.noise)}",
            hint="check that it is not overloaded and that its login asks for nothing",
        ) from error
    return as_greeting(answer, board)


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
    """The lines with our nonce, whatever else the login prints before them."""

    def __init__(self, stream: Stream, nonce: str) -> None:
        self._stream = stream
        self._nonce = nonce
        self.noise = b""

    def next(self, deadline: float) -> dict[str, Any]:
        """The next answer; a TimeoutError past the deadline."""
        while True:
            room = protocol.MAX_NOISE - len(self.noise)
            try:
                line = self._stream.line(deadline, room)
            except ProtocolError as error:
                raise ProtocolError(
                    f"more than {protocol.MAX_NOISE} bytes came and no greeting{quoted(self.noise)}",
                    hint=NOISE_HINT,
                ) from error
            answer = self._answer(line)
            if answer is not None:
                return answer
            self.noise += line

    def _answer(self, line: bytes) -> dict[str, Any] | None:
        start = line.find(b'{"')  # a prompt without a line end may stand before it
        if start < 0 or self._nonce.encode("ascii") not in line:
            return None
        answer = read_message(line[start:])
        return answer if answer and answer.get("nonce") == self._nonce and "loader" not in answer else None


def as_greeting(answer: dict[str, Any], board: str = "BOARD") -> Greeting:
    """A greeting, checked. `answer`: cleaned. `board`: its name, for a hint."""
    if "error" in answer:
        raise board_error(answer["error"], "", board)
    if answer.get("edgewright") != protocol.VERSION:
        raise versions.another_wire(answer.get("edgewright"))
    try:
        return msgspec.convert(answer, Greeting)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"the board's greeting is not valid: {error}", hint="update its agent") from error


def explain_end(channel: Channel, noise: bytes) -> EdgewrightError:
    """Why the command ended before it greeted."""
    code = channel.exit_code(5)
    said = quoted(noise + b"\n" + channel.log().encode("utf-8", "replace"))
    if code == protocol.NO_PYTHON_EXIT:
        return BoardError(
            "the board has no python3 in the usual places", hint=NO_PYTHON_HINT, code=Code.NO_PYTHON
        )
    if code is None:
        return Unreachable(f"the link to the board ended before its greeting{said}", hint="try again")
    return BoardError(
        f"the agent's start ended with exit code {code}{said}",
        hint="check that `ssh BOARD python3 --version` works and that the login has a shell",
        code=Code.START_FAILED,
    )


def quoted(noise: bytes) -> str:
    """The last words of some output, for a message."""
    words = " ".join(str(clean(noise.decode("utf-8", "replace"))).split())
    return f": {words[-300:]}" if words else ""
