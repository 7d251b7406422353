"""A server's questions (`keyboard-interactive`): paramiko's thread passes them on, and the thread that logs in answers them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from edgewright.connect.ssh.auth import MOST_QUESTIONS, MOST_ROUNDS, Answer, Questions
from edgewright.connect.ssh.incoming import Overrun

_POLL_SECONDS = 0.05
_Round = tuple[str, str, Sequence[tuple[str, bool]]]


class Asking:
    """Passes questions and answers between two threads."""

    def __init__(self) -> None:
        self._asked: queue.Queue[_Round] = queue.Queue()
        self._answers: queue.Queue[list[str] | None] = queue.Queue()
        self._rounds = 0
        self._broken: Overrun | None = None

    def ask(self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """Waits for the answers to a round of questions. Runs in paramiko's thread."""
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            self.refuse(f"more than {MOST_ROUNDS} rounds of questions")
        self._asked.put((title, instructions, prompts))
        found = self._answers.get()
        if found is None:
            raise EOFError("the login was given up")
        return found

    def refuse(self, why: str) -> NoReturn:
        """Ends the link to a server that asks too much."""
        self._broken = Overrun(why)
        raise self._broken

    def run(self, attempt: Callable[[], Answer], answer: Questions) -> Answer:
        """Runs an attempt in a thread, and answers its questions in this one. Raises what the attempt raises."""
        found: list[Answer | BaseException] = []

        def attempted() -> None:
            try:
                found.append(attempt())
            except BaseException as error:  # noqa: BLE001 - raised again below
                found.append(error)

        thread = threading.Thread(target=attempted, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                try:
                    self._answers.put(answer(*self._asked.get(timeout=_POLL_SECONDS)))
                except queue.Empty:
                    continue
        finally:
            self._answers.put(None)  # paramiko's thread must not wait for ever
        if self._broken:
            raise self._broken
        (result,) = found
        if isinstance(result, BaseException):
            raise result
        return result


def bounded(transport: Any, asking: Asking) -> Any:
    """A paramiko AuthHandler that believes no count of questions above the cap."""
    from paramiko.auth_handler import AuthHandler
    from paramiko.common import MSG_USERAUTH_INFO_REQUEST

    class Bounded(AuthHandler):  # type: ignore[misc]
        @property
        def _handler_table(self) -> dict[int, Any]:
            return {**super()._handler_table, MSG_USERAUTH_INFO_REQUEST: self.info_request}

        def info_request(self, message: Any) -> None:
            start = message.packet.tell()
            for _ in range(3):  # title, instructions, language
                message.get_binary()
            count = message.get_int()
            if count > MOST_QUESTIONS:
                asking.refuse(f"{count} questions at once")
            message.packet.seek(start)
            self._parse_userauth_info_request(message)

    return Bounded(transport)
