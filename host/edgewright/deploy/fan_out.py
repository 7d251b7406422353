"""Fan-out: the same work on several boards at once, each board's result on its own."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

from edgewright.nouns.board import Board

PARALLEL = 16  # boards at once; a thread and some 100 KiB each
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


class FanOut(Generic[T]):
    """Runs `work(board)` for every board.

    Args:
        work: must not raise for what a board does; it returns the board's result.
        parallel: boards at once.

    Attributes:
        cancelled: set by the first Ctrl-C; `work` looks at it between its steps and ends early.
    """

    def __init__(self, work: Callable[[Board], T], *, parallel: int = PARALLEL) -> None:
        self._work = work
        self._parallel = max(1, parallel)
        self.cancelled = threading.Event()

    def run(self, boards: Sequence[Board]) -> list[T]:
        """The results in the boards' order. The first Ctrl-C lets every board finish its step, a second one raises."""
        with ThreadPoolExecutor(min(self._parallel, max(1, len(boards))), thread_name_prefix="board") as pool:
            futures = [pool.submit(self._work, board) for board in boards]
            try:
                wait(futures)
            except KeyboardInterrupt:
                self.cancelled.set()
                wait(futures)
            return [future.result() for future in futures]
