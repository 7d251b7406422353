from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as futures_wait
from typing import Any

import pytest

from edgewright.cli import signals
from edgewright.deployments import executor as fan_out_module
from edgewright.deployments.board_record import Trace
from edgewright.deployments.executor import FanOut
from edgewright.deployments.outcomes import kind_of, recorded
from edgewright.deployments.settlement import settle, settled
from edgewright.errors import BoardError, EdgewrightError, ProtocolError, Unreachable
from edgewright.nouns.board import Board
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.progress import ProgressEvent
from edgewright.store.history import History

BOARDS = [Board(name=name, address=name) for name in ("a", "b", "c")]


def code(board: Board, error: EdgewrightError) -> str:
    return error.code


def interrupt(
    monkeypatch: pytest.MonkeyPatch, at_work: threading.Event, cancelled: threading.Event, times: int
) -> None:
    """Sends Ctrl-C to this process from another thread: once it waits for a board at work, and again when it waits again."""
    waited_for = (threading.Event(), threading.Event())

    def wait(futures: Any, timeout: float) -> Any:
        assert at_work.wait(60)
        waited_for[cancelled.is_set()].set()
        return futures_wait(futures, timeout=timeout)

    def press() -> None:
        for one in waited_for[:times]:
            if one.wait(60):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fan_out_module, "wait", wait)
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


def test_ctrl_c_begins_no_further_board_and_waits_for_those_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work = threading.Event()

    def work(board: Board) -> str:
        at_work.set()
        fan_out.cancelled.wait(60)
        time.sleep(0.3)  # a board at work takes a moment more to end its step
        return "done"

    fan_out = FanOut(work, code, parallel=1)
    interrupt(monkeypatch, at_work, fan_out.cancelled, 1)
    assert fan_out.run(BOARDS) == ["done", "aborted", "aborted"]
    assert fan_out.cancelled.is_set()


@pytest.mark.parametrize(("raised", "by"), [("", "the user"), ("SIGTERM", "SIGTERM")])
def test_an_error_names_what_stopped_the_boards(
    monkeypatch: pytest.MonkeyPatch, raised: str, by: str
) -> None:
    waits = iter([KeyboardInterrupt(raised)])

    def wait(futures: Any, timeout: float) -> Any:
        for stop in waits:
            raise stop
        return futures_wait(futures, timeout=timeout)

    def work(board: Board) -> str:
        assert fan_out.cancelled.wait(60)
        fan_out.watched(ProgressEvent(stage="next"))
        return "went on"

    fan_out = FanOut(work, lambda _, error: error.message, parallel=1)
    monkeypatch.setattr(fan_out_module, "wait", wait)
    assert fan_out.run(BOARDS[:2]) == [f"stopped by {by}", f"stopped by {by} before this board's turn"]


def test_a_signal_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_received", [])
    with pytest.raises(KeyboardInterrupt, match=r"^SIGTERM$"):
        signals._stop(signal.SIGTERM, None)


def test_an_error_of_the_caller_leaves_no_board_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out_module, "EARLY_SECONDS", 0.0)
    begun, ended = [], []

    def work(board: Board) -> str:
        begun.append(board.name)
        if board.name != "a" and fan_out.cancelled.wait(20):
            time.sleep(0.3)
            ended.append(board.name)
        return "done"

    def early(found: list[str]) -> None:
        raise ValueError(found)

    fan_out = FanOut(work, code, parallel=2)
    fan_out.early = early
    with pytest.raises(ValueError, match="done"):
        fan_out.run([*BOARDS, Board(name="d", address="d")])
    assert sorted(begun) == ["a", "b", "c"] and sorted(ended) == ["b", "c"]


def test_ctrl_c_while_boards_are_handed_out_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[Board] = []

    class Interrupted(ThreadPoolExecutor):
        def submit(self, work, board, /):
            if handed:
                raise KeyboardInterrupt
            handed.append(board)
            return super().submit(work, board)

    monkeypatch.setattr("edgewright.deployments.executor.ThreadPoolExecutor", Interrupted)
    fan_out = FanOut(lambda board: board.name, code)
    assert fan_out.run(BOARDS) == ["a", "aborted", "aborted"]
    assert fan_out.cancelled.is_set()


def test_a_second_ctrl_c_leaves_the_boards_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, release = threading.Event(), threading.Event()

    def work(board: Board) -> str:
        at_work.set()
        release.wait(60)
        return "done"

    fan_out, began = FanOut(work, code, parallel=1), time.monotonic()
    interrupt(monkeypatch, at_work, fan_out.cancelled, 2)
    try:
        assert fan_out.run(BOARDS) == ["left", "aborted", "aborted"]
        assert time.monotonic() - began < 30
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

    settled(trace, "committed", "activate", "b")
    for said, error, kind in (("reverted", BoardError, "reverted"), ("unknown", Unreachable, "unreachable")):
        trace.activating = True
        with pytest.raises(error) as raised:
            settled(trace, said, "activate", "b")
        assert kind_of(raised.value, trace) == kind
        assert raised.value.hint


def test_a_board_that_cannot_be_asked_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgewright.deployments.settlement.SETTLE_PAUSE_S", 0.0)
    asked: list[int] = []

    def reopen() -> object:
        asked.append(1)
        raise Unreachable("gone")

    with pytest.raises(Unreachable) as error:
        settle(reopen, "txn")  # type: ignore[arg-type]
    assert len(asked) == 3
    assert "status" in error.value.hint
