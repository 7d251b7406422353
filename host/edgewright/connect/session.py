"""A session: one login, one agent, commands one after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar, cast

from edgewright import targets
from edgewright.connect import runners, transfer, trust
from edgewright.connect.agent import package
from edgewright.connect.agent.sanitize import clean
from edgewright.connect.agent.start import Start, Started, start
from edgewright.connect.exchange import Exchange, OnEvent
from edgewright.connect.transports import linked, transport_of
from edgewright.errors import Aborted, BoardError, Code, EdgewrightError, TooLate, Unreachable
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.facts import Facts
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.wire import caps, commands
from edgewright.wire.answers import Event, Result, Status
from edgewright.wire.commands import Command
from edgewright.wire.request import Raw, Request
from edgewright.wire.transport import AskPassword, Ended, Transport
from edgewright_agent import protocol

A = TypeVar("A")


class Limits(Noun, frozen=True, kw_only=True):
    """How long a session waits, seconds.

    Attributes:
        silence_s: the link counts as dead if a working board sends nothing for this long.
        greeting_s: time from the hello to an answer.
        ping_s: idle time after which the host sends a ping.
        facts_s: from the question for the board's facts to the answer.
    """

    silence_s: float = float(protocol.SILENCE_SECONDS)
    greeting_s: float = float(protocol.GREETING_SECONDS)
    ping_s: float = 8.0
    facts_s: float = commands.Facts.limit_s


LOOKING = Limits(facts_s=commands.Status.limit_s)  # for commands that only look


def open_session(
    board: Board,
    fleet: Fleet,
    *,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
    limits: Limits | None = None,
) -> Session:
    """Logs in to a board, starts the agent there and checks the board's identity against its pin.

    Args:
        ask_password: called with a prompt for a password or passphrase; None gives no answer.

    Raises:
        TrustError: unknown or changed host key, another board than before, or a cloned card.
        AuthError, Unreachable, BoardError, ProtocolError: see those classes.
    """
    transport = connect(board, fleet, ask_password)
    try:
        session = start_session(board, transport, progress=progress, limits=limits)
    except BaseException:
        transport.close()
        raise
    try:
        if transport_of(board).host_keys:
            trust.check_identity(board, fleet, session.greeting.board_id, session.serial())
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
    wanted = Start(board, package.package(), limits.silence_s, limits.greeting_s, limits.ping_s)
    return Session(board, transport, start(transport, wanted), progress, limits)


class Session:
    """Runs commands on one agent. One thread uses it; another one pings while it is idle.

    `sent_bytes` counts the bytes of uploaded files. `runners` holds the sha256s of the runners on the board; None if the
    board's agent carries its own. `python` and `failures` are those of `Started`.

    After an error from the agent, the session can still be used. Any other error ends it, as the stream's state is unknown.
    """

    def __init__(
        self,
        board: Board,
        transport: Transport,
        started: Started,
        progress: Progress,
        limits: Limits,
    ) -> None:
        channel, greeting = started.channel, started.greeting
        self.board = board
        self.greeting = greeting
        self.python, self.failures = started.python, started.failures
        self.progress = progress
        self.sent_bytes = 0
        own = greeting.runners is None or greeting.forced
        self.runners = None if own else set(greeting.runners or ())
        self._transport, self._channel, self._limits = transport, channel, limits
        self._exchange = Exchange(channel, started.stream, greeting, board.name, limits.silence_s)
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
        """Runs one command and returns its answer, with control characters removed from all text. If a release lacks its
        runner, this edgewright's is sent and the command repeated.

        Args:
            timeout_s: limit for the whole command; by default the command's own, `limit_s`.
            on_event: called with every event but heartbeats; without it progress goes to the session's callback.

        Raises:
            BoardError: the agent refused or failed; `code` is its own, the hint comes from `refusals`.
            TooLate: it took longer than its limit.
            Unreachable: the link is dead.
            ProtocolError: the answer is malformed.
        """
        try:
            return self.exchange(command, timeout_s=timeout_s, on_event=on_event)
        except BoardError as error:
            if error.code != Code.RUNNER_MISSING or not runners.supply(self):
                raise
        return self.exchange(command, timeout_s=timeout_s, on_event=on_event)

    def call_all(self, together: Sequence[Command[Any]]) -> list[Any]:
        """As `call`, for commands whose answers do not decide about the next: in one round trip."""
        requests = [Request(command) for command in together]
        try:
            return self.exchange_all(requests)
        except BoardError as error:
            if error.code != Code.RUNNER_MISSING or not runners.supply(self):
                raise
        return self.exchange_all(requests)

    def put(self, source: Path | bytes, *, label: str = "") -> str:
        """Uploads the bytes that the board lacks; returns the hex sha256 of all.

        Args:
            source: a file, or the bytes.
            label: a description for the progress callback.
        """
        return transfer.put(self, [(source, label)])[0]

    def put_all(self, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
        """As `put`, for several (source, label) in a few round trips; returns their hex sha256s."""
        return transfer.put(self, sources)

    def get(
        self, result: Result, destination: Path | None = None, *, most: int = caps.LOGS.most
    ) -> bytes | Path:
        """Fetches a RESULT of the agent and checks its size and sha256.

        Args:
            destination: file to write; by default the bytes are returned.
            most: bytes that it may have; more is refused before any of it is sent.

        Raises:
            ProtocolError: it is larger, or not what the agent named.
        """
        return transfer.get(self, result, destination, most)

    def get_file(self, result: Result, *, most: int) -> BinaryIO:
        """As `get`, into a file without a name, which goes when it is closed: for results that may be large."""
        return transfer.get_file(self, result, most)

    def facts(self, *, fresh: bool = False) -> Facts:
        """The board's facts, read once per session unless `fresh`."""
        if self._facts is None or fresh:
            self._facts = targets.recognised(self.call(commands.Facts(), timeout_s=self._limits.facts_s))
        return self._facts

    def status(self) -> Status:
        """What is on the board. Brings the facts along if they are not known yet: both take one round trip.

        Raises:
            BoardError: the agent refused one of them.
        """
        if self._facts is not None:
            return self.call(commands.Status())
        both: list[Request[Any]] = [Request(commands.Facts()), Request(commands.Status())]
        facts, status = self.exchange_all(both, timeout_s=self._limits.facts_s + commands.Status.limit_s)
        self._facts = targets.recognised(facts)
        return cast(Status, status)

    def serial(self) -> str:
        """The hardware's serial number; empty if it has none."""
        return self.facts().serial if self.greeting.serial is None else self.greeting.serial

    def simulated(self) -> tuple[str, ...]:
        """The names of the facts that are substituted, as in `Facts.simulated`."""
        return self.facts().simulated if self.greeting.simulated is None else self.greeting.simulated

    def log_tail(self, lines: int = 40) -> str:
        """The latest lines that the agent wrote to stderr, cleaned."""
        return "\n".join(str(clean(self._channel.log())).splitlines()[-lines:])

    def close(self) -> None:
        """Ends the agent and the login."""
        self._stop.set()
        if threading.current_thread() is not self._pinger:
            self._pinger.join(0.1)
        if self._ended is None:
            self._ended = Unreachable(f"the session with {self.board.name} is over", hint="open another one")
            self._channel.finish()  # the agent exits when its stdin closes
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
        """Runs one command.

        Args:
            raw: reads the raw bytes that follow a `bytes` event; called with the event and the deadline.
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
        """Sends commands without waiting for the answers in between, and returns their answers.

        The first refusal is raised after everything that was sent is answered; a request with a body is not sent if a refusal
        has already arrived.

        Args:
            timeout_s: limit for all of them; by default the sum of theirs, `limit_s`.
        """
        if self._owner == threading.get_ident():
            raise RuntimeError("a session's callback must not use the session")
        if timeout_s is None:
            timeout_s = sum(one.command.limit_s for one in requests)
        deadline = time.monotonic() + timeout_s
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._owner = threading.get_ident()
            try:
                return self._exchange.run(requests, deadline, on_event or self._report, raw)
            except BoardError:
                raise
            except BaseException as error:
                shown = self._fail(self._exchange.waiting, error, timeout_s)
                if shown is error:
                    raise
                raise shown from error
            finally:
                self._owner = 0
                self._spoke = time.monotonic()

    def _fail(self, do: str, error: BaseException, timeout_s: float) -> BaseException:
        """Ends the session; returns the error to raise."""
        shown: BaseException = error
        if isinstance(error, Ended):
            said = f": {self.log_tail(1)[-300:]}" if self._channel.exit_code(1) else ""
            shown = Unreachable(f"{self.board.name}: the link ended during {do}{said}", hint=error.hint)
        elif isinstance(error, TimeoutError):
            hint = f"close other programs on the board, or look at `edgewright logs {self.board.name}`"
            shown = TooLate(f"{self.board.name} did not finish {do} within {timeout_s:g} s", hint=hint)
        elif isinstance(error, EdgewrightError) and error.message and not isinstance(error, Aborted):
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
        """Reports an agent's event as a step."""
        what, detail = event.what or event.event, event.text or event.detail
        self.progress(
            ProgressEvent(
                board=self.board.name, stage=what, detail=detail, done=event.done, total=event.total
            )
        )

    def _ping(self) -> None:
        """Shows the agent that the host is alive: by a ping command while idle, else by an empty line. A
        failure is reported by the next call.
        """
        last_sign = time.monotonic()
        while not self._stop.wait(self._limits.ping_s / 4):
            try:
                if self._lock.locked():
                    if time.monotonic() - last_sign >= self._limits.ping_s / 2:
                        last_sign = time.monotonic()
                        self._exchange.word()
                elif time.monotonic() - self._spoke >= self._limits.ping_s:
                    # longer than the silence limit, so that a dead link is reported as one
                    self.exchange(commands.Ping(), timeout_s=2 * self._limits.silence_s)
            except (EdgewrightError, TimeoutError):
                return
