"""Runs the same work on several boards at once, and keeps each board's result."""

from __future__ import annotations

import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgewright.errors import Aborted, Code, EdgewrightError, InternalError, LeftAtWork
from edgewright.nouns.board import Board
from edgewright.nouns.progress import (
    DONE,
    FAILURE,
    STOPPED,
    STOPPING,
    WAITING,
    Progress,
    ProgressEvent,
    silent,
)

PARALLEL = 16  # boards at once; each costs a thread and some 100 KiB
WAKE_SECONDS = 0.5
EARLY_SECONDS = 3.0  # how long finished boards wait for the others
T = TypeVar("T")


class Stop(threading.Event):
    """Set once the user or a signal stops the boards' work.

    Attributes:
        by: what stopped it: `the user`, or the name of a signal.
    """

    by = "the user"


class Turns:
    """Locks that let boards of one machine be measured one at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, board: Board) -> AbstractContextManager[object]:
        """The lock to hold while a board is measured; a no-op for a board that shares no machine."""
        if board.machine is None:
            return nullcontext()
        with self._guard:
            return self._locks[board.machine]


def threads(count: int) -> Executor:
    """An executor with this number of threads."""
    return ThreadPoolExecutor(count, thread_name_prefix="board")


class FanOut(Generic[T]):
    """Runs `work(board)` for every board.

    Args:
        work: gives the board's result, or raises.
        failed: makes the result of a board whose work raised (a foreign error becomes an InternalError) or that the
            user stopped (Aborted: not begun; LeftAtWork: abandoned).
        parallel: boards at once.
        executor: makes the executor, given the number of boards at once.

    Attributes:
        early: called with finished results, without duplicates, while slow boards still work; not called with the rest.
        cancelled: set by the first Ctrl-C; `work` checks it between steps and ends early, for example through `watched`.
    """

    def __init__(
        self,
        work: Callable[[Board], T],
        failed: Callable[[Board, EdgewrightError], T],
        *,
        parallel: int = PARALLEL,
        progress: Progress = silent,
        executor: Callable[[int], Executor] = threads,
        cancelled: Stop | None = None,
    ) -> None:
        self.early: Callable[[list[T]], None] | None = None
        self._known: dict[int, T] = {}
        self._executor = executor
        self._work = work
        self._failed = failed
        self._parallel = max(1, parallel)
        self._progress = progress
        self.cancelled = cancelled or Stop()

    def run(self, boards: Sequence[Board]) -> list[T]:
        """Runs the work; returns the results in the boards' order.

        After the first Ctrl-C no further board begins, and active boards finish their step; a second one abandons
        them with their threads still running. Any other exception, such as one from `early`, is raised once all boards are idle.
        """
        pool = self._executor(min(self._parallel, max(1, len(boards))))
        futures: list[Future[T]] = []
        try:
            for board in boards[self._parallel :]:
                self._progress(ProgressEvent(stage=WAITING, board=board.name))
            for board in boards:  # a Ctrl-C may also arrive here
                futures.append(pool.submit(self._work_of, board))
            self._wait(boards, futures)
        except KeyboardInterrupt as stop:
            self.cancelled.by = str(stop) or self.cancelled.by
            self.cancelled.set()
            try:
                for future in futures:
                    future.cancel()
                self._progress(
                    ProgressEvent(
                        stage=STOPPING, detail="boards at work finish their step; again leaves them"
                    )
                )
                self._wait(boards, futures)
            except KeyboardInterrupt:
                self._progress(ProgressEvent(stage=STOPPED, detail="boards at work are left"))
        except BaseException:
            self._abandon(pool, futures)
            raise
        pool.shutdown(wait=all(future.done() for future in futures), cancel_futures=True)
        futures += [never_begun() for _ in boards[len(futures) :]]
        return [self._result_once(index, board, futures[index]) for index, board in enumerate(boards)]

    def _work_of(self, board: Board) -> T:
        """Does a board's work and reports to the progress how it ended."""
        try:
            found = self._work(board)
        except BaseException as error:
            detail = error.message if isinstance(error, EdgewrightError) else type(error).__name__
            detail = "stopped" if isinstance(error, Aborted) else detail
            self._progress(ProgressEvent(stage=FAILURE, board=board.name, detail=detail))
            raise
        self._progress(ProgressEvent(stage=DONE, board=board.name))
        return found

    def _abandon(self, pool: Executor, futures: Sequence[Future[T]]) -> None:
        """Cancels boards that have not begun, and waits for active ones to finish their step; a Ctrl-C abandons them."""
        self.cancelled.set()
        for future in futures:
            future.cancel()
        while at_work := [future for future in futures if not future.done()]:
            wait(at_work, timeout=WAKE_SECONDS)
        pool.shutdown(cancel_futures=True)

    def _wait(self, boards: Sequence[Board], futures: Sequence[Future[T]]) -> None:
        """Waits for all boards. Polls, because a Ctrl-C in another thread does not wake one that waits for a lock."""
        count, since = 0, time.monotonic()
        while wait(futures, timeout=WAKE_SECONDS).not_done:
            done = [index for index, future in enumerate(futures) if future.done()]
            if len(done) > count:
                count, since = len(done), time.monotonic()
            fresh = [index for index in done if index not in self._known]
            if self.early is not None and fresh and time.monotonic() - since >= EARLY_SECONDS:
                self.early([self._result_once(index, boards[index], futures[index]) for index in fresh])

    def _result_once(self, index: int, board: Board, future: Future[T]) -> T:
        """The board's `_result`, computed only once: computing it also records the board's outcome."""
        if index not in self._known:
            self._known[index] = self._result(board, future)
        return self._known[index]

    def watched(self, step: ProgressEvent) -> None:
        """Forwards a board's progress; raises Aborted once the user stopped the work, so that it ends between two steps."""
        if self.cancelled.is_set():
            raise Aborted(f"stopped by {self.cancelled.by}")
        self._progress(step)

    def _result(self, board: Board, future: Future[T]) -> T:
        """The result of a board's work, or the result that `failed` makes for its error."""
        if not future.done():
            hint = f"ask it: `edgewright status {board.name}`"
            return self._failed(
                board, LeftAtWork(f"stopped by {self.cancelled.by} in the middle of its work", hint=hint)
            )
        try:
            return future.result()
        except CancelledError:
            return self._failed(board, Aborted(f"stopped by {self.cancelled.by} before this board's turn"))
        except EdgewrightError as error:
            return self._failed(board, error)
        except Exception as error:  # noqa: BLE001 - one board's failure must not lose the others' results
            return self._failed(board, internal(error))


def never_begun() -> Future[Any]:
    """The future of a board whose work was stopped before its turn."""
    found: Future[Any] = Future()
    found.cancel()
    found.set_running_or_notify_cancel()  # otherwise a waiter would wait forever
    return found


def internal(error: Exception) -> EdgewrightError:
    """Wraps a foreign error of a board's work; names the source line, because a thread shows no traceback."""
    if isinstance(error, OSError) and error.filename:
        return EdgewrightError(
            f"{error.strerror}: {error.filename}".lower(),
            hint="check the file and its permissions",
            code=Code.IO,
        )
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
    return InternalError(text, hint=f"this is a bug, in {Path(last.filename).name}:{last.lineno}")
