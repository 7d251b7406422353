"""What a worker's process group uses: its memory, and whether it still does anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

POLL_SECONDS = 0.25  # between two looks at a worker
IDLE_SECONDS = 180.0
_BUSY = 0.01  # share of one core: threads that only wait for each other use less


class Usage(NamedTuple):
    """What a process group uses.

    Attributes:
        memory_mb: resident memory, MiB.
        cpu_seconds: CPU time of its running processes and of the children that these have reaped.
    """

    memory_mb: int
    cpu_seconds: float


def usage(group: int) -> Usage:
    """What a process group uses now; zeros if /proc is not available."""
    pages = ticks = 0
    try:
        # a glob would fail if one ends meanwhile
        numbers = [one.name for one in Path("/proc").iterdir() if one.name.isdecimal()]
    except OSError:
        return Usage(0, 0.0)
    for number in numbers:
        try:
            fields = Path("/proc", number, "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[2]) == group:
            pages += int(fields[21])
            ticks += sum(map(int, fields[11:15]))
    return Usage(pages * os.sysconf("SC_PAGE_SIZE") >> 20, ticks / os.sysconf("SC_CLK_TCK"))


class IdleWatch:
    """Tells a process group that is stuck, for example in a library's deadlock, from one that is slow: it uses no CPU time.

    It counts looks, not time: a host that was suspended for an hour has not looked, and the worker may have done its job meanwhile.
    """

    def __init__(self) -> None:
        self._looks, self._before = 0, 0.0

    def idle(self, now: Usage) -> bool:
        """Whether the group did nothing for the last `IDLE_SECONDS`. To be asked every `POLL_SECONDS`."""
        if self._looks == 0:
            self._before = now.cpu_seconds
        self._looks += 1
        if self._looks * POLL_SECONDS < IDLE_SECONDS:
            return False
        self._looks = 0
        # a group's time falls when a child ends that another process reaps
        return 0 <= now.cpu_seconds - self._before < _BUSY * IDLE_SECONDS
