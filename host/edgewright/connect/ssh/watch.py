"""Cuts links that are stuck: a full TCP buffer blocks paramiko past all of its timeouts. One thread watches all links."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from edgewright.wire.transport import LEAST_TAKEN

LOOKS = 30  # checks within the time that a link may be silent
IDLE_S = 5.0  # after which the thread ends if nothing is sent


class Life(NamedTuple):
    """What distinguishes a slow link from a dead one: the bytes that the other end received, and the bytes that it sent."""

    taken: int
    said: int

    def since(self, before: Life) -> bool:
        """Whether the other end showed signs of life since `before`."""
        return self.taken - before.taken >= LEAST_TAKEN or self.said > before.said


class Watch:
    """Cuts a link from outside when it is stuck, for as long as the context is open.

    Args:
        life: returns the link's current signs of life.
        close: closes the link.
        timeout_s: longest time, s, without an outgoing packet and without a sign of life.
        deadline: `time.monotonic()` at which the link is cut in any case.

    Attributes:
        packets: number of packets sent.
        cut: the link was cut after `timeout_s`.
        late: the link was cut at the deadline.
        due: `time.monotonic()` of the next look.
    """

    def __init__(
        self, life: Callable[[], Life], close: Callable[[], None], timeout_s: float, deadline: float
    ) -> None:
        self.timeout_s = timeout_s
        self.packets, self.cut, self.late = 0, False, False
        self._deadline = deadline
        self._life, self._close = life, close
        self._known, self._seen, self._since = -1, Life(0, 0), time.monotonic()
        self.due = self._since + timeout_s / LOOKS

    def __enter__(self) -> Watch:
        _WATCHER.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _WATCHER.remove(self)

    def look(self) -> None:
        """Checks the link, and cuts it if it is stuck."""
        now = time.monotonic()
        self.due = now + self.timeout_s / LOOKS
        life = self._life()
        if now >= self._deadline:
            self.late = True
        elif self.packets != self._known or life.since(self._seen):
            self._known, self._seen, self._since = self.packets, life, now
        elif now - self._since >= self.timeout_s:
            self.cut = True
        if self.late or self.cut:
            # closing may wait for the link's own thread, and the others are to be watched meanwhile
            threading.Thread(target=self._close, name="edgewright-cut", daemon=True).start()
            self.due = float("inf")


class Watcher:
    """The thread that looks at all open watches. It starts with the first one: a thread for each piece that is sent costs
    more than the piece."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: set[Watch] = set()
        self._thread: threading.Thread | None = None
        self._next = 0.0

    def add(self, watch: Watch) -> None:
        """Watches a link from now on."""
        with self._changed:
            self._open.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="edgewright-watch", daemon=True)
                self._thread.start()
            elif watch.due < self._next:
                self._changed.notify()

    def remove(self, watch: Watch) -> None:
        """Leaves a link alone."""
        with self._changed:
            self._open.discard(watch)

    def _run(self) -> None:
        while due := self._wait():
            for watch in due:
                with contextlib.suppress(
                    Exception
                ):  # such as no room for another thread: the next look tries again
                    watch.look()

    def _wait(self) -> list[Watch]:
        """The watches whose time has come; none if there were none for a while."""
        with self._changed:
            while True:
                now = time.monotonic()
                due = [one for one in self._open if one.due <= now]
                if due:
                    return due
                idle = not self._open
                self._next = min((one.due for one in self._open), default=now + IDLE_S)
                woken = self._changed.wait(min(self._next - now, IDLE_S))
                if idle and not woken and not self._open:
                    self._thread = None
                    return []


_WATCHER = Watcher()


def _afresh() -> None:
    """A fork of this process has no watching thread, and its own links."""
    global _WATCHER
    _WATCHER = Watcher()


os.register_at_fork(after_in_child=_afresh)
