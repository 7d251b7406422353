"""Starts the agent on a board, or explains why it does not start."""

from __future__ import annotations

import secrets
import time
from typing import Any, NamedTuple

from edgewright.connect.agent import bootstrap, start_errors
from edgewright.connect.agent.handshake import Answers, Greeting, as_greeting, hello
from edgewright.connect.agent.login_check import Login, LoginCheck
from edgewright.connect.agent.package import AgentPackage
from edgewright.connect.agent.start_errors import Ending, Failure
from edgewright.errors import EdgewrightError, Unreachable
from edgewright.nouns.board import Board
from edgewright.wire.stream import Stream
from edgewright.wire.transport import LEAST_TAKEN, SLOWEST, Channel, Ended, Transport

CHECK_AFTER_S = 5.0  # without an answer: then the login is checked, which a fast board never needs
LOOK_S = 0.5  # between two looks at the check's result
AGAIN_AFTER_S = 1.0
END_S = 5.0  # until the exit code of a command that has ended


class Start(NamedTuple):
    """What to start where, and how long to wait.

    Attributes:
        silence_s: the link counts as dead if nothing moves for this long, s.
        within_s: time limit, s, from the hello to the board's answer, and from the agent's bytes to the greeting;
            the latter is extended by the time that the bytes may take to arrive.
        ping_s: interval, s, at which the host promises to send something, even while a command runs.
    """

    board: Board
    package: AgentPackage
    silence_s: float
    within_s: float
    ping_s: float | None = None


class Started(NamedTuple):
    """An agent that has greeted.

    Attributes:
        python: path of the Python that runs it; empty if the start script did not choose it.
        failures: the Pythons that do not work, which were tried before it.
    """

    channel: Channel
    stream: Stream
    greeting: Greeting
    python: str = ""
    failures: tuple[Failure, ...] = ()


def start(transport: Transport, wanted: Start) -> Started:
    """Starts the agent with the board's first Python; if that one fails, with the first that works.

    Raises:
        BoardError: the board has no Python that works, its login does not start the agent, or the agent refused.
        ProtocolError: too much noise, or another version of the protocol.
        Unreachable: no answer in time, or the link broke.
    """
    python = wanted.board.python
    first = Attempt(transport, wanted, bootstrap.command(python))
    try:
        return first.greet()
    except Ended as error:
        ending = first.ending(END_S)
        if not ending.python_failed:
            raise start_errors.ended(ending) from error
        first.channel.close()
        second = another_attempt(transport, wanted, ending)
    try:
        return second.greet()
    except Ended as error:
        raise start_errors.ended(second.ending(END_S)) from error


def another_attempt(transport: Transport, wanted: Start, ending: Ending) -> Attempt:
    """The search for a Python that works, after the first command ended like this.

    A server may allow one command at a time, and takes a moment to notice that the first one is closed.
    """
    command = bootstrap.search(wanted.board.python)
    try:
        return Attempt(transport, wanted, command)
    except Unreachable:
        time.sleep(AGAIN_AFTER_S)
    try:
        return Attempt(transport, wanted, command)
    except Unreachable as error:
        raise start_errors.ended(ending) from error


class Attempt:
    """One start command and its handshake."""

    def __init__(self, transport: Transport, wanted: Start, command: str) -> None:
        self.channel = transport.run(command)
        self._transport, self._wanted = transport, wanted
        self._stream = Stream(self.channel, wanted.silence_s)
        self._nonce = secrets.token_hex(16)
        self._answers = Answers(self._stream, self._nonce)

    def greet(self) -> Started:
        """Sends the hello, ships the agent on request, and waits for the greeting.

        Raises:
            Ended: the command ended before it answered; `ending` has the details.
        """
        greeting = as_greeting(self._answer(), self._wanted.board.name)
        found = self._answers
        return Started(self.channel, self._stream, greeting, found.python, tuple(found.failures))

    def ending(self, within_s: float = 0) -> Ending:
        """What is known about a command that ends within some seconds, or about one that still runs (0)."""
        code = self.channel.exit_code(within_s) if within_s else None
        answers, log = self._answers, self.channel.log().encode("utf-8", "replace")
        noise, log = (without_hello(one, self._nonce) for one in (answers.noise, log))
        return Ending(code, answers.python, tuple(answers.failures), noise, log)

    def _answer(self) -> dict[str, Any]:
        board, package, within_s = self._wanted.board, self._wanted.package, self._wanted.within_s
        try:
            self._send(hello(package, board.root, self._nonce, board.group, self._wanted.ping_s))
            answer = self._first()
            if "need" in answer:
                self._send(package.data)
                answer = self._answers.next(time.monotonic() + within_s + len(package.data) / SLOWEST)
        except Ended:
            last = self._answers.last(END_S)
            if last is None or "error" not in last:
                raise
            return last
        except TimeoutError as error:
            raise start_errors.silent(Login.CUT_OFF, self.ending(), within_s) from error
        return answer

    def _send(self, data: bytes) -> None:
        wanted = self._wanted
        self.channel.send(data, wanted.silence_s, time.monotonic() + wanted.within_s + len(data) / SLOWEST)

    def _first(self) -> dict[str, Any]:
        """The first answer. Without one, the login is checked."""
        deadline = time.monotonic() + self._wanted.within_s
        try:
            return self._before_check(deadline)
        except TimeoutError:
            check = LoginCheck(self._transport)
        try:
            return self._during_check(check, deadline)
        except TimeoutError as error:
            self.channel.finish()  # a Python that still waits for the hello ends now, with an exit code that shows it
            ending = self.ending(2)
            raise start_errors.silent(check.result(), ending, self._wanted.within_s) from error
        finally:
            check.close()

    def _before_check(self, deadline: float) -> dict[str, Any]:
        """The first answer; raises TimeoutError if none came for a while after the hello has arrived."""
        taken, since = self.channel.taken(), time.monotonic()
        while True:
            try:
                return self._answers.next(min(deadline, time.monotonic() + LOOK_S))
            except TimeoutError:
                if self.channel.taken() - taken >= LEAST_TAKEN:  # a slow link still carries the hello
                    taken, since = self.channel.taken(), time.monotonic()
                if time.monotonic() >= min(deadline, since + CHECK_AFTER_S):
                    raise

    def _during_check(self, check: LoginCheck, deadline: float) -> dict[str, Any]:
        while True:
            try:
                return self._answers.next(min(deadline, time.monotonic() + LOOK_S))
            except TimeoutError:
                refused: EdgewrightError | None = start_errors.refused_login(check.result(), self.ending())
                if refused is not None:
                    raise refused from None
                if time.monotonic() >= deadline:
                    raise


def without_hello(output: bytes, nonce: str) -> bytes:
    """A command's output without the hello, which a program that takes the agent's place may repeat: it hides the words."""
    return output.partition(b"{")[0] if nonce.encode("ascii") in output else output
