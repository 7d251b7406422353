from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from edgewright.deploy.deploy import kind_of, recorded
from edgewright.deploy.fan_out import FanOut
from edgewright.deploy.settle import settle, settled
from edgewright.deploy.trace import Trace
from edgewright.errors import BoardError, EdgewrightError, ProtocolError, Unreachable
from edgewright.nouns.board import Board
from edgewright.nouns.outcome import BoardOutcome
from edgewright.store.history import History

BOARDS = [Board(name=name, address=name) for name in ("a", "b", "c")]


def code(board: Board, error: EdgewrightError) -> str:
    return error.code


def interrupt_after(*seconds: float) -> None:
    """Ctrl-C for this process, some seconds apart, from beside."""

    def press() -> None:
        for pause in seconds:
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def test_one_boards_trouble_does_not_lose_the_others_results() -> None:
    def work(board: Board) -> str:
        if board.name == "a":
            raise RuntimeError("a bug")
        if board.name == "b":
            raise Unreachable("gone")
        return "done"

    told: list[EdgewrightError] = []

    def failed(board: Board, error: EdgewrightError) -> str:
        told.append(error)
        return error.code

    assert FanOut(work, failed).run(BOARDS) == ["internal", "unreachable", "done"]
    assert "a bug" in told[0].message
    assert "test_host_fan_out.py:" in told[0].hint


def test_ctrl_c_begins_no_further_board_and_waits_for_those_at_work() -> None:
    def work(board: Board) -> str:
        time.sleep(0.6)
        return "done"

    interrupt_after(0.2)
    fan_out = FanOut(work, code, parallel=1)
    assert fan_out.run(BOARDS) == ["done", "aborted", "aborted"]
    assert fan_out.cancelled.is_set()


def test_a_second_ctrl_c_leaves_the_boards_at_work() -> None:
    release = threading.Event()

    def work(board: Board) -> str:
        release.wait(20)
        return "done"

    interrupt_after(0.2, 0.3)
    begun = time.monotonic()
    try:
        assert FanOut(work, code, parallel=1).run(BOARDS) == ["left", "aborted", "aborted"]
        assert time.monotonic() - begun < 10
    finally:
        release.set()


def test_outcomes_survive_a_history_that_fails() -> None:
    history = History("sqlite:////nonexistent/folder/history.sqlite3")
    kept = recorded(history, "deploy", "f", "1", [BoardOutcome(board="a", outcome="committed")])
    assert [one.outcome for one in kept] == ["committed"]
    assert "not kept" in kept[0].message


def test_what_a_lost_link_leaves_behind() -> None:
    trace = Trace()
    assert kind_of(Unreachable("x"), trace) == "unreachable"
    assert kind_of(ProtocolError("x"), trace) == "failed"
    trace.activating = True
    assert kind_of(Unreachable("x"), trace) == "unknown"
    assert kind_of(ProtocolError("x"), trace) == "unknown"
    assert kind_of(BoardError("x", code="hook-failed"), trace) == "reverted"

    settled(trace, "committed")
    for said, error, kind in (("reverted", BoardError, "reverted"), ("unknown", Unreachable, "unreachable")):
        trace.activating = True
        with pytest.raises(error) as raised:
            settled(trace, said)
        assert kind_of(raised.value, trace) == kind
        assert raised.value.hint


def test_a_board_that_cannot_be_asked_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgewright.deploy.settle.SETTLE_PAUSE_S", 0.0)
    asked: list[int] = []

    def reopen() -> object:
        asked.append(1)
        raise Unreachable("gone")

    with pytest.raises(Unreachable) as error:
        settle(reopen, "txn")  # type: ignore[arg-type]
    assert len(asked) == 3
    assert "status" in error.value.hint
