"""A server whose host key was checked, through paramiko: one attempt to log in at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from edgewright.connect.ssh.auth import Answer, Questions
from edgewright.connect.ssh.key_ring import KeyRing
from edgewright.connect.ssh.questions import Asking, bounded

TYPING_SECONDS = 300.0  # while a person answers


class Server(KeyRing):
    """The contract is `auth.Server`."""

    def __init__(self, transport: Any, user: str) -> None:
        super().__init__()
        self._transport = transport
        self._user = user
        self._words = ""
        self._wanted: tuple[str, ...] = ()

    def active(self) -> bool:
        return bool(self._transport.is_active())

    def words(self) -> str:
        return self._words

    def begin(self) -> Answer:
        return self._answer(lambda: self._transport.auth_none(self._user), first=True)

    def try_key(self, key: Any) -> Answer:
        return self._answer(lambda: self._transport.auth_publickey(self._user, key))

    def try_password(self, password: str) -> Answer:
        return self._answer(lambda: self._transport.auth_password(self._user, password, fallback=False))

    def try_questions(self, answer: Questions) -> Answer:
        asking = Asking()
        limit, self._transport.auth_timeout = self._transport.auth_timeout, TYPING_SECONDS
        try:
            # paramiko asks in its own thread, which must neither prompt nor outlive a prompt
            return asking.run(lambda: self._answer(lambda: self._interactive(asking)), answer)
        finally:
            self._transport.auth_timeout = limit

    def _interactive(self, asking: Asking) -> list[str]:
        self._transport.auth_handler = bounded(self._transport, asking)
        done = threading.Event()
        self._transport.auth_handler.auth_interactive(self._user, asking.ask, done, "")
        return list(self._transport.auth_handler.wait_for_response(done))

    def _answer(self, authenticate: Callable[[], list[str]], first: bool = False) -> Answer:
        import paramiko

        try:
            more = tuple(authenticate())
            self._wanted = more
            return Answer(done=not more, accepted=True, wanted=more)
        except paramiko.BadAuthenticationType as error:
            self._wanted = tuple(error.allowed_types)
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error).lower():
                self._transport.close()  # a late answer would be taken for that to the next attempt
                raise TimeoutError("no answer to the login") from error
            if first and not self.active():
                raise EOFError("the server hung up before the login") from error
        finally:
            banner = self._transport.get_banner()
            self._words = banner.decode("utf-8", "replace") if banner else self._words
        return Answer(wanted=self._wanted)
