"""Reads the state of the board before and after a measurement, and the CPU time that other processes took."""

import os

from edgewright_agent import shapes
from edgewright_agent.board import sensors


def read() -> "shapes.Result":
    """Read an Environment (see `edgewright.nouns.measurement`) as a dict, without `contention`."""
    flags = sensors.throttled_flags()
    return {
        "throttled": None if flags is None else bool(flags & sensors.THROTTLED_NOW),
        "throttled_flags": flags,
        "temperature_c": sensors.temperature_c(),
        "governor": sensors.governor(),
        "frequency_mhz": sensors.frequency_mhz(),
        "load1": sensors.parse_load(sensors.read_text("/proc/loadavg")),
        "cpus": os.cpu_count(),
        "swap_in_pages": sensors.parse_swap_in(sensors.read_text("/proc/vmstat")),
        "power_mode": sensors.power_mode(),
        "contention": None,
    }


def cpu_clock() -> "shapes.Clock | None":
    """(busy ticks, all ticks, ticks of this process and its ended children), or None."""
    ticks = sensors.parse_cpu_ticks(sensors.read_text("/proc/stat"))
    if ticks is None:
        return None
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return ticks + (own * os.sysconf("SC_CLK_TCK"),)


def contention(start: "shapes.Clock | None", end: "shapes.Clock | None") -> "float | None":
    """The share (0..1) of all CPU time that other processes used between two `cpu_clock`s, or None."""
    if start is None or end is None or end[1] <= start[1]:
        return None
    others = (end[0] - start[0]) - (end[2] - start[2])
    return max(0.0, min(1.0, others / float(end[1] - start[1])))
