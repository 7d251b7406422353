"""Peak resident memory of this process, as the kernel counts it (VmHWM)."""

import re

STATUS = "/proc/self/status"
CLEAR_REFS = "/proc/self/clear_refs"


def field(text: "str", name: "str") -> "int | None":
    """KiB of one line of `/proc/<pid>/status`, or None."""
    found = re.search(r"^%s:\s+(\d+) kB$" % re.escape(name), text, re.MULTILINE)
    return int(found.group(1)) if found else None


def peak_kb() -> "int":
    """VmHWM of this process, KiB; -1 if the kernel does not report it."""
    try:
        with open(STATUS) as file:
            value = field(file.read(), "VmHWM")
    except OSError:
        value = None
    return -1 if value is None else value


def baseline() -> "tuple[int, str]":
    """(KiB, method): VmHWM from now on, reset to the resident memory if the kernel can.

    Writing 5 to `clear_refs` resets it (Linux 4.0, CONFIG_PROC_PAGE_MONITOR). Otherwise the peak of the
    imports remains, and a later difference is a lower bound.
    """
    try:
        with open(CLEAR_REFS, "w") as file:
            file.write("5")
        method = "VmHWM, reset after import"
    except OSError:
        method = "VmHWM, not reset"
    value = peak_kb()
    return (value, method) if value >= 0 else (-1, "unknown")


def above(base_kb: "int", peaks_kb: "list[int]") -> "int":
    """How far the highest peak is above the baseline, KiB; -1 if either is unknown."""
    if base_kb < 0 or min(peaks_kb) < 0:
        return -1
    return max(0, max(peaks_kb) - base_kb)
