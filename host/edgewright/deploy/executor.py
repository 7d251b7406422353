"""Runs the same work on several boards at once, and keeps each board's result."""

from __future__ import annotations

import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgewright.errors import Aborted, Code, EdgewrightError, InternalError, LeftAtWork
from edgewright.nouns.board import Board
from edgewright.nouns.progress import STOPPED, STOPPING, Progress, Step, silent

PARALLEL = 16  # boards at once; a thread and some 100 KiB each
WAKE_SECONDS = 0.5
T = TypeVar("T")


class Turns:
    """Boards of one machine are measured one at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, board: Board) -> AbstractContextManager[object]:
        """Held while a board is measured; free for boards that share no machine."""
        if board.machine is None:
            return nullcontext()
        with self._guard:
            return self._locks[board.machine]


def threads(count: int) -> Executor:
    """An executor of so many threads."""
    return ThreadPoolExecutor(count, thread_name_prefix="board")


class FanOut(Generic[T]):
    """Runs `work(board)` for every board.

    Args:
        work: gives the board's result, or raises.
        failed: the result of a board whose work raised (another error than this project's is an
            InternalError), or which the user stopped (Aborted: not begun; LeftAtWork: not waited for).
        parallel: boards at once.
        executor: makes what runs the work; it is given how many run at once.

    Attributes:
        cancelled: set by the first Ctrl-C; `work` looks at it between its steps and ends early, as by `watched`.
    """

    def __init__(
        self,
        work: Callable[[Board], T],
        failed: Callable[[Board, EdgewrightError], T],
        *,
        parallel: int = PARALLEL,
        progress: Progress = silent,
        executor: Callable[[int], Executor] = threads,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._executor = executor
        self._work = work
        self._failed = failed
        self._parallel = max(1, parallel)
        self._progress = progress
        self.cancelled = cancelled or threading.Event()

    def run(self, boards: Sequence[Board]) -> list[T]:
        """The results in the boards' order.

        The first Ctrl-C begins no further board and lets those at work finish their step; a second one leaves
        them, their threads still running.
        """
        pool = self._executor(min(self._parallel, max(1, len(boards))))
        futures: list[Future[T]] = []
        try:
            for board in boards:  # a Ctrl-C may come in here as well
                futures.append(pool.submit(self._work, board))
            ended(futures)
        except KeyboardInterrupt:
            self.cancelled.set()
            try:
                for future in futures:
                    future.cancel()
                self._progress(
                    Step(what=STOPPING, detail="boards at work finish their step; again leaves them")
                )
                ended(futures)
            except KeyboardInterrupt:
                self._progress(Step(what=STOPPED, detail="boards at work are left"))
        pool.shutdown(wait=all(future.done() for future in futures), cancel_futures=True)
        futures += [never_begun() for _ in boards[len(futures) :]]
        return [self._result(board, future) for board, future in zip(boards, futures, strict=True)]

    def watched(self, step: Step) -> None:
        """Passes a board's progress on; Aborted once the user stopped it, so that its work ends between two steps."""
        if self.cancelled.is_set():
            raise Aborted("stopped by the user")
        self._progress(step)

    def _result(self, board: Board, future: Future[T]) -> T:
        """What a board's work gave, or what stands for it."""
        if not future.done():
            hint = f"ask it: `edgewright status {board.name}`"
            return self._failed(board, LeftAtWork("stopped by the user in the middle of its work", hint=hint))
        try:
            return future.result()
        except CancelledError:
            return self._failed(board, Aborted("stopped by the user before this board's turn"))
        except EdgewrightError as error:
            return self._failed(board, error)
        except Exception as error:  # noqa: BLE001 - one board's trouble must not lose the others' results
            return self._failed(board, internal(error))


def never_begun() -> Future[Any]:
    """A board's work that was stopped before its turn."""
    found: Future[Any] = Future()
    found.cancel()
    found.set_running_or_notify_cancel()  # else whoever waits for it waits for ever
    return found


def ended(futures: Sequence[Future[T]]) -> None:
    """Waits for all. In steps: a Ctrl-C that reaches another thread does not wake one that waits for a lock."""
    while wait(futures, timeout=WAKE_SECONDS).not_done:
        pass


def internal(error: Exception) -> EdgewrightError:
    """A foreign error of one board's work; the place is named, as there is no traceback of a thread's."""
    if isinstance(error, OSError) and error.filename:
        return EdgewrightError(
            f"{error.strerror}: {error.filename}".lower(),
            hint="check the file and its permissions",
            code=Code.IO,
        )
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
    return InternalError(text, hint=f"this is a bug, in {Path(last.filename).name}:{last.lineno}")
