"""Conditions under which a Jetson runs out of memory while it builds an engine: CPU and GPU share one memory there.

From what users of TensorRT report (NVIDIA/TensorRT#1404: builds are killed) and from NVIDIA's advice to add a swap file and to
close the desktop. The limits were not measured: none of it was run on hardware.
"""

from __future__ import annotations

from edgewright.nouns.facts import Facts
from edgewright.nouns.finding import ADVICE, Finding

ROOMY_MB = 2048  # free memory that needs no advice
SMALL_MB = 8192  # memory of boards where a desktop session takes a large part
KIB = 2  # the column of `/proc/swaps` with the size


def finding(facts: Facts) -> Finding | None:
    """Advice before an engine build: free memory, swap, zram and a desktop session; None if there is room, or if it is no Jetson."""
    jetson = bool(facts.jetpack) and "cuda" in facts.accelerators
    if not jetson or not facts.memory_available_mb or "memory_mb" in facts.simulated:
        return None
    desktop = bool(facts.displays)
    if facts.memory_available_mb >= ROOMY_MB and not (desktop and facts.memory_mb < SMALL_MB):
        return None
    parts = [f"{facts.memory_available_mb} MiB are free", swap(facts)]
    parts += ["a desktop session takes part of the memory"] if desktop else []
    cures = (
        ["`sudo systemctl isolate multi-user.target` ends the desktop until the next boot"] if desktop else []
    )
    cures += (
        [] if _size(facts, zram=False) else ["a swap file on the disk lets the rest of the system make room"]
    )
    return Finding(
        level=ADVICE,
        message=f"an engine build may run out of memory (not run on hardware): {', '.join(parts)}",
        hint="; ".join(cures)
        or "end other programs while the engine is built; its workspace follows the free memory",
    )


def swap(facts: Facts) -> str:
    """The swap space in words."""
    disk, packed = _size(facts, zram=False), _size(facts, zram=True)
    if not disk and not packed:
        return "no swap"
    if not disk:
        return f"swap only in compressed memory (zram, {packed} MiB)"
    return f"{disk} MiB of swap" + (f" and {packed} MiB of zram" if packed else "")


def _size(facts: Facts, *, zram: bool) -> int:
    """MiB of swap on disks, or in zram."""
    rows = [row for row in facts.swaps if len(row) > KIB and row[KIB].isdigit()]
    return sum(int(row[KIB]) for row in rows if ("zram" in row[0]) is zram) // 1024
