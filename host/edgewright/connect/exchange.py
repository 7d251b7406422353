"""The exchange of lines and raw bytes with an agent: numbered requests, and events and answers in order."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from edgewright.connect.agent import package, versions
from edgewright.connect.agent.handshake import Greeting
from edgewright.connect.agent.refusals import board_error
from edgewright.connect.agent.sanitize import read_message
from edgewright.errors import BoardError, Code, ProtocolError, Unreachable
from edgewright.wire import caps
from edgewright.wire.answers import Event
from edgewright.wire.commands import UPDATE
from edgewright.wire.request import Raw, Request
from edgewright.wire.stream import Stream
from edgewright.wire.transport import Channel
from edgewright_agent import protocol

A = TypeVar("A")
OnEvent = Callable[[Event], None]
WORD_SECONDS = 3600.0


class Exchange:
    """Only one thread at a time runs requests; meanwhile another thread may send a ping.

    Args:
        board: the board's name, for hints.
        silence_s: the link counts as dead if a working board sends nothing for this long, s.
    """

    def __init__(
        self, channel: Channel, stream: Stream, greeting: Greeting, board: str, silence_s: float
    ) -> None:
        self._channel, self._stream, self._greeting, self._board = channel, stream, greeting, board
        self.silence_s = silence_s
        self._sending = threading.Lock()  # held while a command's line and raw bytes are being sent
        self._last_id = 0
        self.waiting = ""  # the command whose answer comes next

    def run(
        self, requests: Sequence[Request[A]], deadline: float, on_event: OnEvent, raw: Raw | None
    ) -> list[A]:
        """Sends the requests without waiting in between, and returns their answers. The contract is `Session.exchange_all`."""
        first = self._last_id + 1
        self.waiting = next((one.command.do for one in requests), "")
        self._last_id += len(requests)
        lines = [
            protocol.encode({"id": number, "do": one.command.do, "args": one.command.arguments()})
            for number, one in enumerate(requests, first)
        ]
        for line, one in zip(lines, requests, strict=True):
            if len(line) > protocol.MAX_LINE:
                raise ValueError(f"the arguments of {one.command.do} are too long")
        try:
            with self._sending:
                for sent, (line, one) in enumerate(zip(lines, requests, strict=True)):
                    if sent and one.body is not None and self._refused():
                        requests = requests[:sent]
                        break
                    self._channel.send(line, self.silence_s, deadline)
                    if one.body is not None:
                        one.body(self._channel, self.silence_s, deadline)
        except Unreachable:
            # an agent that failed meanwhile may have reported why before it ended
            with contextlib.suppress(TimeoutError, Unreachable, ProtocolError):
                for number, one in enumerate(requests, first):
                    self._answer(number, one.command.do, time.monotonic() + 1, on_event, None)
            raise
        return self._answers(requests, first, deadline, on_event, raw)

    def _refused(self) -> bool:
        """Whether an error is among the answers that arrived while bytes were sent."""
        for line in self._stream.waiting():
            try:
                if "error" in protocol.decode(line):
                    return True
            except (protocol.AgentError, RecursionError):
                return True  # reading the answers will report the fault
        return False

    def _answers(
        self, requests: Sequence[Request[A]], first: int, deadline: float, on_event: OnEvent, raw: Raw | None
    ) -> list[A]:
        """The answers to all requests; the first refusal is raised after all of them have arrived."""
        found: list[A] = []
        refusal: BoardError | None = None
        for number, one in enumerate(requests, first):
            self.waiting = one.command.do
            try:
                answer = self._answer(number, one.command.do, deadline, on_event, raw)
                found.append(one.command.read(answer))
            except BoardError as error:
                refusal = refusal or error
                if error.code == Code.PROTOCOL:  # the agent no longer follows the stream, and ends
                    break
        if refusal is not None:
            raise refusal
        return found

    def _answer(
        self, number: int, do: str, deadline: float, on_event: OnEvent, raw: Raw | None
    ) -> dict[str, object]:
        for _ in range(caps.EVENTS.most):
            message = self._message(deadline)
            if "error" in message and message.get("id") in (
                number,
                None,
            ):  # None: it could not parse the request
                refused = board_error(message["error"], do, self._board)
                ours = self._greeting.sha256 == package.package().sha256
                raise refused if ours else versions.of_another_agent(refused, self._greeting.agent)
            if message.get("id") != number:
                raise ProtocolError(f"the board answers another request: {message.get('id')!r}", hint=UPDATE)
            if isinstance(message.get("ok"), dict):
                answer: dict[str, object] = message["ok"]
                return answer
            event = _event(message)
            if event.event == "bytes":
                if raw is None:
                    raise ProtocolError("the board sends bytes that nobody asked for", hint=UPDATE)
                raw(event, self._stream, deadline)
                raw = None
            elif event.event != "heartbeat":
                on_event(event)
        raise ProtocolError(f"more than {caps.EVENTS.most} events of one command", hint=UPDATE)

    def _message(self, deadline: float) -> dict[str, Any]:
        found = read_message(self._stream.line(deadline))
        if found is None:
            what = "a line from the board is not a JSON object, or a number in it is out of range"
            raise ProtocolError(what, hint=UPDATE)
        return found

    def word(self) -> None:
        """Sends an empty line as a sign of life, unless other bytes are being sent."""
        if self._sending.acquire(blocking=False):
            try:
                # a command that ends at its deadline closes the channel, which ends this too
                self._channel.send(b"\n", self.silence_s, time.monotonic() + WORD_SECONDS)
            finally:
                self._sending.release()


def _event(message: dict[str, Any]) -> Event:
    """An event: a line that is neither `ok` nor an error."""
    if not isinstance(message.get("event"), str):
        raise ProtocolError("a line from the board is neither event, ok nor error", hint=UPDATE)
    try:
        return msgspec.convert(message, Event)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"an event of the board is not valid: {error}", hint=UPDATE) from error
