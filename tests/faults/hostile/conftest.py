"""Boards that send arbitrary bytes, without a process or a network; and a man in the middle of a real board."""

from __future__ import annotations

import contextlib
import io
import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgewright.compile.data.goldens import write_npz
from edgewright.connect.session import Limits, Session, start_session
from edgewright.errors import EdgewrightError
from edgewright.measure import statistics
from edgewright.measure.benchmark import check_runs, most_of_run, read_run
from edgewright.measure.infer import run_on
from edgewright.measure.release_manifest import Released
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.board import Board
from edgewright.nouns.measurement import QUICK
from edgewright.wire import commands, types

NONCE = re.compile(rb'"nonce":"([0-9a-f]{32})"')
GREETING = (
    b'{"edgewright":1,"nonce":"NONCE","agent":"1","sha256":"s","python":"3.6","root":"/r","board_id":"b"}\n'
)


class Spoken:
    """A `transport.Channel` whose board sends these bytes, with `NONCE` replaced by the host's nonce, and then ends.

    Attributes:
        given: how many of them were read.
        heard: bytes that the host sent.
        fine: steps of the conversation that had a result.
    """

    def __init__(self, said: bytes, piece: int = 65536) -> None:
        self.said, self.piece = said, piece
        self.given = self.heard = self.fine = 0

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
        """Returns itself: it is a `transport.Transport` too."""
        return self


def clean(text: str) -> bool:
    """Whether a text is safe for a terminal."""
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


SPEC = TensorSpec(name="y", shape=(2,), dtype="float32")
ABOUT = Released(inputs=(SPEC,), outputs=(SPEC,), verified=True)
INPUTS = io.BytesIO()
write_npz(INPUTS, iter([("input_0", np.ones((1, 2), np.float32))]))
INPUTS = INPUTS.getvalue()


def measured(session: Session) -> None:
    """The part of a benchmark that depends on the board's answers."""
    answer = session.call(
        commands.Bench(
            model="m", releases=("1-00000000",), protocol=types.Protocol(rounds=1, warmup_s=0, steady_s=0, min_samples=1, limit_s=1)
        )
    )  # fmt: skip
    check_runs(answer.runs, QUICK, ["1-00000000"])
    runs = [read_run(session, run, most_of_run(QUICK)) for run in answer.runs]
    if any(run.samples_ms for run in runs):
        statistics.latency(runs)


def everything(session: Session) -> int:
    """Everything that a host does with a board's answers; returns how many steps had a result."""
    fine = 0
    for step in (
        lambda: session.call(commands.Status()),
        lambda: session.facts(),
        lambda: session.put(b"some bytes"),
        lambda: session.get(session.call(commands.Logs(lines=1)).log),
        lambda: run_on(session, "m", None, INPUTS, about=ABOUT).record(),
        lambda: measured(session),
    ):
        with contextlib.suppress(EdgewrightError):
            step()
            fine += 1
    return fine


def converse(said: bytes, piece: int = 65536) -> Spoken:
    """A whole conversation with a board that sends these bytes; every error must be one of this project's."""
    board = Spoken(said, piece)
    try:
        session = start_session(Board(name="evil", address="local:"), board, limits=Limits(ping_s=3600))
    except EdgewrightError as error:
        assert clean(error.message) and clean(error.hint) and len(error.message) < 5000, error.message
        return board
    try:
        board.fine = everything(session)
        assert clean(session.log_tail())
    finally:
        session.close()
    return board


def line(value: Any) -> bytes:
    """A value as a line on the wire."""
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="session")
def talk() -> SimpleNamespace:
    """`talk.converse(bytes, piece)`, `talk.GREETING`, `talk.line(value)`, `talk.clean(text)`."""
    converse(b"")  # makes and keeps the agent's package, so that no test has to wait for it
    return SimpleNamespace(converse=converse, GREETING=GREETING, line=line, clean=clean)
