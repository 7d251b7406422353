"""Authentication: which keys, passwords and questions are tried, and in which order.

A server may want several of them, one after another. Passwords and passphrases are prompted for, used once, and not stored.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from edgewright.connect.ssh import keys
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.server_text import MOST_WORDS, plain
from edgewright.errors import AuthError
from edgewright.nouns.base import Noun
from edgewright.wire.transport import AskPassword

HINT = "name the right key with `identity` in the fleet file, or load it into ssh-agent; is the user right?"
MOST_STEPS = 8  # factors that a server wants, one after another
MOST_QUESTIONS = 8  # of a server, at once
MOST_ROUNDS = 8  # of questions, one after another


class Answer(Noun, frozen=True, kw_only=True):
    """What a server says to an attempt.

    Attributes:
        done: logged in.
        accepted: this attempt was right; if not `done`, the server wants more.
        wanted: the methods that it takes next, such as `publickey`.
    """

    done: bool = False
    accepted: bool = False
    wanted: tuple[str, ...] = ()


class Questions(Protocol):
    """Answers the questions of a server: (title, instructions, [(text, whether to show what is typed)])."""

    def __call__(self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]: ...


class Server(keys.KeyRing, Protocol):
    """An SSH server whose host key has been checked. Its methods raise EOFError or OSError if it does not answer."""

    def active(self) -> bool:
        """Whether the connection is still open; servers hang up after too many attempts."""

    def words(self) -> str:
        """The text that it shows before a login (`Banner` of sshd); empty if it has none."""

    def begin(self) -> Answer:
        """Asks what it takes; it may need nothing."""

    def try_key(self, key: Any) -> Answer:
        """Tries a key."""

    def try_password(self, password: str) -> Answer:
        """Tries a password."""

    def try_questions(self, answer: Questions) -> Answer:
        """Lets it ask (`keyboard-interactive`); `answer` runs in the calling thread."""


def log_in(server: Server, endpoint: Endpoint, ask: AskPassword | None) -> None:
    """Authenticates.

    Raises:
        AuthError: everything was refused; the message lists what was tried.
    """
    login = Login(server, endpoint, ask)
    try:
        answer = server.begin()
        for _ in range(MOST_STEPS):
            if answer.done:
                return
            answer = login.step(answer.wanted)
        login.refuse(answer.wanted)
    finally:
        server.close_agents()


class Login:
    """One login, whatever it takes."""

    def __init__(self, server: Server, endpoint: Endpoint, ask: AskPassword | None) -> None:
        self._server, self._endpoint, self._ask = server, endpoint, ask
        self._tried: list[str] = []
        self._accepted: list[str] = []
        self._told = ""  # by its questions, or in place of them: "approve the login on your phone"
        self._offers = keys.offers(server, endpoint, ask, self._tried)

    def step(self, wanted: tuple[str, ...]) -> Answer:
        """Passes one factor, by the first method that works, in the order of OpenSSH's client."""
        methods = {
            "publickey": self._by_key,
            "keyboard-interactive": self._by_questions,
            "password": self._by_password,
        }
        for name, attempt in methods.items():
            found = attempt() if name in wanted and self._server.active() else None
            if found is not None:
                return found
        self.refuse(wanted)

    def _by_key(self) -> Answer | None:
        for offer in self._offers:
            if not self._server.active():
                self._tried.append("no more, as the server hung up: name the one key to use")
                return None
            found = self._server.try_key(offer.key)
            refused = " (the agent refused to sign)" if getattr(offer.key, "refused", False) else ""
            if self._passed(offer.label + refused, found):
                return found
        return None

    def _by_password(self) -> Answer | None:
        """Prompts for the password, at most three times, and stops if an answer repeats."""
        last: str | None = None
        for _ in range(keys.TRIES):
            password = self._ask(self._prompt()) if self._ask and self._server.active() else None
            if not password or password == last:
                return None
            last = password
            found = self._server.try_password(password)
            if self._passed("a password", found):
                return found
        return None

    def _by_questions(self) -> Answer | None:
        """Lets the server ask, at most three times, and stops if the answers repeat."""
        last: list[tuple[str, str]] = []
        for _ in range(keys.TRIES):
            if self._ask is None or not self._server.active():
                return None
            given: list[tuple[str, str]] = []
            found = self._server.try_questions(functools.partial(self._answers, given))
            if self._passed(_asked(given, self._prompt()), found, told=bool(given)):
                return found
            if not any(text for _, text in given) or given == last:
                return None
            last = given
        return None

    def _answers(
        self, given: list[tuple[str, str]], title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        """The user's answers to one round of questions; empty ones if there are none. Adds (prompt, answer) to `given`."""
        about, found = plain(f"{title} {instructions}")[:MOST_WORDS], []
        self._told = about or self._told
        for text, _ in prompts:
            asked = plain(text.strip().rstrip(":"))[:MOST_WORDS]
            own = asked.lower().startswith("password")
            words = " ".join(filter(None, (about, asked)))
            prompt = (
                self._prompt() if own else f"{self._endpoint.user}@{self._endpoint.address} asks: {words}"
            )
            found.append((prompt, (self._ask(prompt) if self._ask else None) or ""))
        given += found
        return [text for _, text in found]

    def _passed(self, label: str, answer: Answer, told: bool = True) -> bool:
        """Notes what came of an attempt. Returns whether it was right."""
        if answer.accepted:
            self._accepted.append(label)
        elif told:
            self._tried.append(label)
        return answer.accepted

    def _prompt(self) -> str:
        return f"password of {self._endpoint.user}@{self._endpoint.address}"

    def refuse(self, wanted: tuple[str, ...]) -> NoReturn:
        """Raises the AuthError that says what was tried, what the server wants, and what it says itself."""
        where = f"{self._endpoint.label} ({self._endpoint.host}) refused the login of {self._endpoint.user}"
        parts = [f"it accepted {' and '.join(self._accepted)} and wants more"] if self._accepted else []
        parts.append(f"tried {', '.join(dict.fromkeys(self._tried)) or 'nothing: no usable key'}")
        parts += [f"it takes {' or '.join(wanted)}"] if wanted else []
        said = plain(f"{self._server.words()} {self._told}")
        parts += [f"it says: {said[:MOST_WORDS]}"] if said else []
        prompted = {"password", "keyboard-interactive"} & set(wanted)
        hint = "run it at a terminal, where it can ask" if prompted and self._ask is None else HINT
        raise AuthError(f"{where}; {'; '.join(parts)}", hint=hint)


def _asked(given: list[tuple[str, str]], password: str) -> str:
    """What a server's questions were about, for messages."""
    return "a password" if all(prompt == password for prompt, _ in given) else "its questions"
