"""Answers the `ssh` program's prompts: it starts a helper (`SSH_ASKPASS`), which passes the prompt to the thread that logs in."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from edgewright.connect.ssh.openssh.private_config import Entry, with_addresses
from edgewright.connect.ssh.server_text import MOST_WORDS, plain
from edgewright.errors import Unreachable
from edgewright.wire.transport import AskPassword

MOST_PROMPTS = 24  # of one login: eight factors, three times each
PASSPHRASE, PASSWORD, QUESTIONS = "passphrase", "a password", "its questions"
_OF, _WRONG, _NOT_GIVEN = "passphrase of ", "wrong passphrase", "encrypted, no passphrase was given"
_MOST_BYTES = 8192
_SECONDS = 10.0  # for the helper to pass on a prompt
_HELPER = """#!/bin/sh
[ "$SSH_ASKPASS_PROMPT" = none ] && exec sleep 60
exec {python} -I -S -c 'import socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
link.sendall(sys.argv[2].encode("utf-8", "surrogateescape"))
link.shutdown(socket.SHUT_WR)
answer = b"".join(iter(lambda: link.recv(4096), b""))
if not answer.startswith(b"+"):
    sys.exit(1)
sys.stdout.buffer.write(answer[1:] + b"\\n")' {socket} "$1"
"""
_PASSPHRASE = re.compile(r"Enter passphrase for (?:key )?'?(.+?)'?: ?\Z", re.DOTALL)
_QUESTION = re.compile(
    r"(?:\((?P<to>[^)]+@edgewright-[^\s)]+)\) |(?P<of>.+@edgewright-\S+)'s )(?P<words>.+)\Z", re.DOTALL
)


class Prompts:
    """Receives the prompts of one login.

    Args:
        folder: a private folder for the helper and its socket.
        entries: the servers on the way.
        ask: answers a prompt; None if nobody can be asked.

    Attributes:
        answered: the kinds of what was given.
        locked: file of a key -> why it stayed locked.
        refused: a server's prompt has no other answer: `ssh` would send it empty ones.
    """

    def __init__(self, folder: Path, entries: Sequence[Entry], ask: AskPassword | None) -> None:
        self.answered: list[str] = []
        self.locked: dict[str, str] = {}
        self.refused = False
        self._about = ""
        self._entries, self._ask = entries, ask
        self._count, self._hop = 0, 0
        self._last: dict[str, str] = {}
        self._socket, self._helper = folder / "q", folder / "askpass"
        self._socket.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._socket))
        self._listener.listen(4)
        self._helper.write_text(
            _HELPER.format(python=shlex.quote(sys.executable), socket=shlex.quote(str(self._socket)))
        )
        self._helper.chmod(0o700)

    def fileno(self) -> int:
        """The listening socket, for `select`."""
        return self._listener.fileno()

    def environment(self) -> dict[str, str]:
        """The variables for `ssh`. Before 8.4 it wants a display, too, and no terminal."""
        return {
            **os.environ,
            "SSH_ASKPASS": str(self._helper),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": os.environ.get("DISPLAY") or ":0",
        }

    def answer(self, about: str, hop: int) -> None:
        """Answers the prompt that waits.

        Args:
            about: what the server wrote since the last prompt.
            hop: how many servers have let us in so far.

        Raises:
            Unreachable: it asks too often.
        """
        if hop != self._hop:  # the answers of another server say nothing about this one's
            self._hop, self._last, self._about = hop, {}, ""
        link, _ = self._listener.accept()
        with link:
            link.settimeout(_SECONDS)
            try:
                prompt = _received(link)
            except OSError:  # `ssh` ended it
                return
            given = self._answer_to(*self._ours(prompt, about))
            with contextlib.suppress(OSError):
                link.sendall(b"" if given is None else b"+" + given.encode("utf-8", "surrogateescape"))

    def _answer_to(self, prompt: str, kind: str) -> str | None:
        """The answer to a prompt; None if there is none, or if it was given before and was not right."""
        self._count += 1
        if self._count > MOST_PROMPTS:
            raise Unreachable(
                f"{self._entries[-1].endpoint.label} asks more than {MOST_PROMPTS} questions",
                hint="try `ssh` by hand",
            )
        given = (self._ask(prompt) if self._ask else None) or ""
        if given and given != self._last.get(prompt):
            self._last[prompt] = given
            self.answered.append(kind)
            return given
        if kind == PASSPHRASE:
            self.locked[prompt.removeprefix(_OF)] = _WRONG if given else _NOT_GIVEN
        else:
            self.refused = True
        return None

    def _ours(self, prompt: str, about: str) -> tuple[str, str]:
        """(a prompt in the words of the other client, so that an answer is known again; what it is about)."""
        if found := _PASSPHRASE.match(prompt):
            return f"{_OF}{plain(found[1])}", PASSPHRASE
        found = _QUESTION.match(prompt)
        if not found:
            return f"ssh asks: {self._words(prompt)}", QUESTIONS
        who = self._words(found["to"] or found["of"])
        if found["of"]:
            return f"password of {who}", PASSWORD
        self._about = about or self._about
        if found["words"].lower().startswith("password"):
            return f"password of {who}", PASSWORD
        return (
            f"{who} asks: {' '.join(filter(None, (self._about, self._words(found['words']))))}",
            QUESTIONS,
        )

    def _words(self, text: str) -> str:
        return plain(with_addresses(text, self._entries).strip().rstrip(":"))[:MOST_WORDS]

    def close(self) -> None:
        """Answers nothing more."""
        self._listener.close()


def _received(link: socket.socket) -> str:
    """A prompt, cut if it is too long."""
    data = b""
    while len(data) < _MOST_BYTES:
        piece = link.recv(_MOST_BYTES - len(data))
        if not piece:
            break
        data += piece
    return data.decode("utf-8", "replace")
