"""A session: one login, one agent, commands one after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from edgewright import targets
from edgewright.connect import runners, transfer, trust
from edgewright.connect.agent import bootstrap
from edgewright.connect.agent import package as agent_package
from edgewright.connect.agent.handshake import Greeting, greet
from edgewright.connect.agent.sanitize import clean
from edgewright.connect.exchange import Exchange, OnEvent
from edgewright.connect.transports import linked, transport_of
from edgewright.errors import BoardError, Code, EdgewrightError, Unreachable
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.facts import Facts
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.wire import commands
from edgewright.wire.answers import Event, Result
from edgewright.wire.commands import Command
from edgewright.wire.request import Raw, Request
from edgewright.wire.stream import Stream
from edgewright.wire.transport import AskPassword, Channel, Ended, Transport
from edgewright_agent import protocol

A = TypeVar("A")
CALL_SECONDS = 3600.0


class Limits(Noun, frozen=True, kw_only=True):
    """How long a session waits, seconds.

    Attributes:
        silence_s: no byte from a board that works is a dead link.
        greeting_s: from the hello to an answer.
        ping_s: idle time after which the host sends a sign of life.
    """

    silence_s: float = float(protocol.SILENCE_SECONDS)
    greeting_s: float = float(protocol.GREETING_SECONDS)
    ping_s: float = 8.0


def open_session(
    board: Board,
    fleet: Fleet,
    *,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
    limits: Limits | None = None,
) -> Session:
    """Logs in to a board, starts the agent there and checks that it is the board that was pinned.

    Args:
        ask_password: asked for a password or passphrase with a prompt; None answers nothing.

    Raises:
        TrustError: unknown or changed host key, another board than before, or a cloned card.
        AuthError, Unreachable, BoardError, ProtocolError: as they say.
    """
    transport = connect(board, fleet, ask_password)
    try:
        session = start_session(board, transport, progress=progress, limits=limits)
    except BaseException:
        transport.close()
        raise
    try:
        if transport_of(board).host_keys:
            trust.check_identity(board, fleet, session.greeting.board_id, session.facts().serial)
    except BaseException:
        session.close()
        raise
    return session


def connect(board: Board, fleet: Fleet, ask_password: AskPassword | None = None) -> Transport:
    """A transport to a board, of the kind that its address names."""
    return linked(board, fleet, ask_password)


def start_session(
    board: Board, transport: Transport, *, progress: Progress = silent, limits: Limits | None = None
) -> Session:
    """Starts the agent over a transport; the session closes the transport when it ends."""
    limits = limits or Limits()
    channel = transport.run(bootstrap.command(board.python))
    stream = Stream(channel, limits.silence_s)
    package = agent_package.package()
    greeting = greet(
        channel,
        stream,
        package,
        board.root,
        limits.silence_s,
        limits.greeting_s,
        board.group,
        limits.ping_s,
        board.name,
    )
    return Session(board, transport, channel, stream, greeting, progress, limits)


class Session:
    """Commands to one agent. One thread uses it; another one pings while it is idle.

    `sent_bytes` counts the bytes of files that were uploaded; `runners` are those on the board, by sha256, None where
    the board's agent brings its own.

    An error of the agent's leaves the session usable. Any other ends it: the stream's state is unknown.
    """

    def __init__(
        self,
        board: Board,
        transport: Transport,
        channel: Channel,
        stream: Stream,
        greeting: Greeting,
        progress: Progress,
        limits: Limits,
    ) -> None:
        self.board = board
        self.greeting = greeting
        self.progress = progress
        self.sent_bytes = 0
        own = greeting.runners is None or greeting.forced
        self.runners = None if own else set(greeting.runners or ())
        self._transport, self._channel, self._limits = transport, channel, limits
        self._exchange = Exchange(channel, stream, greeting, board.name, limits.silence_s)
        self._lock = threading.Lock()
        self._owner = 0
        self._spoke = time.monotonic()
        self._ended: EdgewrightError | None = None
        self._facts: Facts | None = None
        self._stop = threading.Event()
        self._pinger = threading.Thread(target=self._ping, name=f"edgewright-ping-{board.name}", daemon=True)
        self._pinger.start()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(
        self, command: Command[A], *, timeout_s: float | None = None, on_event: OnEvent | None = None
    ) -> A:
        """One command; its answer, all text in it cleaned of control characters. A release that lacks its runner gets
        this edgewright's.

        Args:
            timeout_s: limit for the whole command, an hour by default.
            on_event: called with every event but heartbeats; without it progress goes to the session's callback.

        Raises:
            BoardError: the agent refused or failed; `code` is its own, the hint comes from `refusals`. Code `timeout`: too late.
            Unreachable: the link is dead.
            ProtocolError: the answer is not one.
        """
        try:
            return self.exchange(command, timeout_s=timeout_s, on_event=on_event)
        except BoardError as error:
            if error.code != Code.RUNNER_MISSING or not runners.supply(self):
                raise
        return self.exchange(command, timeout_s=timeout_s, on_event=on_event)

    def put(self, source: Path | bytes, *, label: str = "") -> str:
        """Makes bytes known to the board, only those that it lacks; returns their hex sha256.

        Args:
            source: a file, or the bytes.
            label: what it is, for the progress callback.
        """
        return transfer.put(self, [(source, label)])[0]

    def put_all(self, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
        """As `put` for many (source, label), in a few round trips for all of them; their hex sha256s."""
        return transfer.put(self, sources)

    def get(self, result: Result, destination: Path | None = None) -> bytes | Path:
        """Fetches a RESULT of the agent, its size and sha256 checked.

        Args:
            destination: file to write; without one the bytes are returned.
        """
        return transfer.get(self, result, destination)

    def facts(self, *, fresh: bool = False) -> Facts:
        """The board's facts, asked for once a session."""
        if self._facts is None or fresh:
            self._facts = targets.recognised(self.call(commands.Facts(), timeout_s=120))
        return self._facts

    def log_tail(self, lines: int = 40) -> str:
        """The newest lines that the agent wrote to stderr, cleaned."""
        return "\n".join(str(clean(self._channel.log())).splitlines()[-lines:])

    def close(self) -> None:
        """Ends the agent and the login."""
        self._stop.set()
        if threading.current_thread() is not self._pinger:
            self._pinger.join(0.1)
        if self._ended is None:
            self._ended = Unreachable(f"the session with {self.board.name} is over", hint="open another one")
            self._channel.finish()  # the agent ends by itself when its stdin does
            self._channel.exit_code(2)
        self._channel.close()
        self._transport.close()

    def exchange(
        self,
        command: Command[A],
        *,
        timeout_s: float | None = None,
        on_event: OnEvent | None = None,
        raw: Raw | None = None,
    ) -> A:
        """One command.

        Args:
            raw: takes the raw bytes that follow a `bytes` event; it is given the event and the deadline.
        """
        return self.exchange_all([Request(command)], timeout_s=timeout_s, on_event=on_event, raw=raw)[0]

    def exchange_all(
        self,
        requests: Sequence[Request[A]],
        *,
        timeout_s: float | None = None,
        on_event: OnEvent | None = None,
        raw: Raw | None = None,
    ) -> list[A]:
        """Commands one after another, each sent without waiting for the answer before it; their answers.

        The first refusal is raised once all that were sent are answered; a request with a body is not sent any more where
        a refusal has come before it.

        Args:
            timeout_s: limit for all of them.
        """
        if self._owner == threading.get_ident():
            raise RuntimeError("a session's callback must not use the session")
        deadline = time.monotonic() + (CALL_SECONDS if timeout_s is None else timeout_s)
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._owner = threading.get_ident()
            try:
                return self._exchange.run(requests, deadline, on_event or self._report, raw)
            except BoardError:
                raise
            except BaseException as error:
                shown = self._fail(requests[0].command.do, error)
                if shown is error:
                    raise
                raise shown from error
            finally:
                self._owner = 0
                self._spoke = time.monotonic()

    def _fail(self, do: str, error: BaseException) -> BaseException:
        """Ends the session; the error to raise."""
        shown: BaseException = error
        if isinstance(error, Ended):
            said = f": {self.log_tail(1)[-300:]}" if self._channel.exit_code(1) else ""
            shown = Unreachable(f"{self.board.name}: the link ended during {do}{said}", hint=error.hint)
        elif isinstance(error, TimeoutError):
            hint = "give it more time, or look at `edgewright logs`"
            shown = BoardError(f"{self.board.name} did not finish {do} in time", hint=hint, code=Code.TIMEOUT)
        elif isinstance(error, EdgewrightError) and error.message:
            shown = type(error)(f"{self.board.name}: {error.message}", hint=error.hint, code=error.code)
        broken = f"the session with {self.board.name} broke during {do}"
        self._ended = (
            shown if isinstance(shown, EdgewrightError) else Unreachable(broken, hint="open another one")
        )
        self._stop.set()
        self._channel.close()
        self._transport.close()
        return shown

    def _report(self, event: Event) -> None:
        """An agent's event as a step."""
        what, detail = event.what or event.event, event.text or event.detail
        self.progress(
            Step(board=self.board.name, what=what, detail=detail, done=event.done, total=event.total)
        )

    def _ping(self) -> None:
        """Tells the agent that the host lives, by a command while nobody calls and else by an empty line; a
        failure shows at the next call."""
        worded = time.monotonic()
        while not self._stop.wait(self._limits.ping_s / 4):
            try:
                if self._lock.locked():
                    if time.monotonic() - worded >= self._limits.ping_s / 2:
                        worded = time.monotonic()
                        self._exchange.word()
                elif time.monotonic() - self._spoke >= self._limits.ping_s:
                    # longer than the silence, so that a dead link is reported as one
                    self.exchange(commands.Ping(), timeout_s=2 * self._limits.silence_s)
            except (EdgewrightError, TimeoutError):
                return
