"""What a worker and the processes that it started use: their memory, and whether they still do anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

POLL_SECONDS = 0.25  # between two looks at a worker
IDLE_SECONDS = 180.0
_BUSY = 0.01  # share of one core: threads that only wait for each other use less
_PROC = Path("/proc")
_RUNS = (b"R", b"D")  # states of a thread that runs, or waits for a processor or a disk


class Usage(NamedTuple):
    """What a worker and its descendants use.

    Attributes:
        memory_mb: resident memory, MiB; 0 if unknown.
        cpu_seconds: CPU time of those that run and of the children that these have reaped; None if unknown.
    """

    memory_mb: int
    cpu_seconds: float | None


def usage(leader: int) -> Usage:
    """What the worker with this process id uses now. Unknown on systems without /proc."""
    found = list(_members(leader).values())
    if not found:
        return Usage(0, None)
    pages = sum(int(fields[21]) for fields in found)
    ticks = sum(int(field) for fields in found for field in fields[11:15])
    return Usage(pages * os.sysconf("SC_PAGE_SIZE") >> 20, ticks / os.sysconf("SC_CLK_TCK"))


class IdleWatch:
    """Tells a worker that is stuck, for example in a library's deadlock, from one that is slow: it uses no CPU time and all of its threads sleep.

    It counts looks, not time: a host that was suspended for an hour has not looked, and the worker may have done its job meanwhile.
    """

    def __init__(self, leader: int) -> None:
        self._leader, self._looks, self._before = leader, 0, 0.0

    def idle(self, now: Usage) -> bool:
        """Whether the worker did nothing for the last `IDLE_SECONDS`. To be asked every `POLL_SECONDS`."""
        if now.cpu_seconds is None:
            return False
        if self._looks == 0:
            self._before = now.cpu_seconds
        self._looks += 1
        if self._looks * POLL_SECONDS < IDLE_SECONDS:
            return False
        self._looks = 0
        # the sum falls when a child ends that another process reaps
        used = now.cpu_seconds - self._before
        return 0 <= used < _BUSY * IDLE_SECONDS and all(map(_asleep, _members(self._leader)))


def _members(leader: int) -> dict[int, list[bytes]]:
    """{process id: fields of its `stat`, from the state on} of a session's processes and their descendants, even those in another session."""
    every = dict(_every())
    found = {number: fields for number, fields in every.items() if leader in (number, int(fields[3]))}
    more = found
    while more:
        more = {
            number: fields
            for number, fields in every.items()
            if int(fields[1]) in more and number not in found
        }
        found.update(more)
    return found


def _every() -> Iterator[tuple[int, list[bytes]]]:
    try:
        # a glob would fail if one ends meanwhile
        numbers = [one.name for one in _PROC.iterdir() if one.name.isdecimal()]
    except OSError:
        return
    for number in numbers:
        try:
            yield int(number), _fields(_PROC / number)
        except OSError:
            continue  # it has just ended


def _asleep(number: int) -> bool:
    """Whether no thread of a process runs, or waits for a processor or a disk."""
    try:
        return not any(_fields(one)[0] in _RUNS for one in (_PROC / str(number) / "task").iterdir())
    except OSError:
        return True  # it has just ended


def _fields(place: Path) -> list[bytes]:
    return (place / "stat").read_bytes().rpartition(b")")[2].split()
