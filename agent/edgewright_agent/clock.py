"""Time that does not depend on the wall clock: seconds since boot, and the id of the boot."""

import os
import time

from edgewright_agent import shapes

CLOCK_BOOTTIME = 7  # by number: Python 3.6 lacks the name. It keeps running while the board sleeps


def now() -> "float":
    """Seconds since boot, sleep included."""
    return time.clock_gettime(CLOCK_BOOTTIME)


def boot_id() -> "str":
    """The kernel's id of this boot."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def in_seconds(seconds: "float") -> "shapes.Deadline":
    """A deadline that many seconds from now: `{"boot_id", "at"}`."""
    return {"boot_id": boot_id(), "at": now() + seconds}


def left(deadline: "shapes.Deadline") -> "float":
    """Seconds until a deadline; 0 or less once it has passed, or in another boot."""
    if deadline["boot_id"] != boot_id():
        return 0.0
    return deadline["at"] - now()


def owner() -> "shapes.Owner":
    """A record of this process, by which others can check if it still runs: `{"pid", "started", "boot_id"}`."""
    return {"pid": os.getpid(), "started": started(os.getpid()), "boot_id": boot_id()}


def alive(process: "shapes.Owner") -> "bool":
    """Whether the process of an `owner` record still runs."""
    if process["boot_id"] != boot_id():
        return False
    began = started(process["pid"])
    return began is not None and began == process["started"]


def started(pid: "int") -> "int | None":
    """When a process started, in clock ticks after boot; None if it does not exist."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
