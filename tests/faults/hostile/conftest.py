"""Boards that say anything: bytes in, bytes out, no process and no network; and a man in the middle of a real one."""

from __future__ import annotations

import contextlib
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from edgewright.connect.session import Limits, Session, start_session
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board
from edgewright.wire import commands

NONCE = re.compile(rb'"nonce":"([0-9a-f]{32})"')
GREETING = (
    b'{"edgewright":1,"nonce":"NONCE","agent":"1","sha256":"s","python":"3.6","root":"/r","board_id":"b"}\n'
)


class Spoken:
    """A `transport.Channel` whose board says these bytes, `NONCE` replaced by the host's, and then ends.

    Attributes:
        given: how many of them were taken.
        heard: bytes that the host sent.
    """

    def __init__(self, said: bytes, piece: int = 65536) -> None:
        self.said, self.piece = said, piece
        self.given = self.heard = 0

    def send(self, data: bytes | memoryview, timeout_s: float, deadline: float) -> None:
        found = NONCE.search(bytes(data)) if not self.heard else None
        if found:
            self.said = self.said.replace(b"NONCE", found[1])
        self.heard += len(data)

    def receive(self, size: int, timeout_s: float) -> bytes:
        piece = self.said[self.given : self.given + min(size, self.piece)]
        self.given += len(piece)
        return piece

    def taken(self) -> int:
        return 0

    def log(self) -> str:
        return "\x1b[31mlog\x07"

    def exit_code(self, timeout_s: float) -> int | None:
        return 0

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass

    def run(self, command: str) -> Spoken:
        """It is its own `transport.Transport`."""
        return self


def clean(text: str) -> bool:
    """Whether a terminal takes it as plain text."""
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


def everything(session: Session) -> None:
    """All that a host does with what a board says."""
    for step in (
        lambda: session.call(commands.Status()),
        lambda: session.facts(),
        lambda: session.put(b"some bytes"),
        lambda: session.get(session.call(commands.Logs(lines=1)).log),
    ):
        with contextlib.suppress(EdgewrightError):
            step()


def converse(said: bytes, piece: int = 65536) -> Spoken:
    """A whole conversation with a board that says these bytes; every error must be one of this project's."""
    board = Spoken(said, piece)
    try:
        session = start_session(Board(name="evil", address="local:"), board, limits=Limits(ping_s=3600))
    except EdgewrightError as error:
        assert clean(error.message) and clean(error.hint) and len(error.message) < 5000, error.message
        return board
    try:
        everything(session)
        assert clean(session.log_tail())
    finally:
        session.close()
    return board


def line(value: Any) -> bytes:
    """A value as a line of the wire."""
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="session")
def talk() -> SimpleNamespace:
    """`talk.converse(bytes, piece)`, `talk.GREETING`, `talk.line(value)`, `talk.clean(text)`."""
    converse(b"")  # makes the agent's package, which is kept: its seconds belong to no test
    return SimpleNamespace(converse=converse, GREETING=GREETING, line=line, clean=clean)
