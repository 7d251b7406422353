"""Conditions that make a board slow, full, unable to recover, or its measurements unreliable."""

from __future__ import annotations

from edgewright.doctor import engine_build
from edgewright.measure.validity import HOT_C
from edgewright.nouns.facts import Facts
from edgewright.nouns.finding import ADVICE, PROBLEM, Finding
from edgewright_agent.protocol import SPARE_BYTES, SPARE_INODES

LOW_DISK = 512 * 1024**2
LOW_INODES = 1000
THROTTLED = (  # bits of `vcgencmd get_throttled`; "has occurred since boot" is 16 bits higher
    (0, "too little voltage"),
    (1, "its clock capped"),
    (2, "throttled"),
    (3, "at its soft temperature limit"),
)
SINCE_BOOT = 16
VOLTAGE = 1 << 0 | 1 << SINCE_BOOT


def doubts(facts: Facts, board: str) -> list[Finding]:
    """All such conditions, as advice."""
    found = [
        disk(facts, board),
        throttled(facts),
        hot(facts),
        power_mode(facts),
        governor(facts),
        engine_build.finding(facts),
        guard(facts, board),
    ]
    return [one for one in found if one is not None]


def disk(facts: Facts, board: str) -> Finding | None:
    """The disk is nearly full, of bytes or of inodes."""
    full = facts.disk_free_bytes < SPARE_BYTES or facts.disk_free_inodes < SPARE_INODES
    few = facts.disk_free_inodes < LOW_INODES
    if not facts.disk_known or (facts.disk_free_bytes >= LOW_DISK and not few):
        return None
    left = f"{facts.disk_free_bytes // 1024**2} MiB" if not few else f"{facts.disk_free_inodes} inodes"
    return Finding(level=PROBLEM if full else ADVICE,
                   message=f"the disk is full: {left} are free" if full else f"only {left} of disk are free",
                   hint=f"`edgewright fleet prune {board}` removes old releases"
                   + ("; or remove small files on the board" if few else ""))  # fmt: skip


def throttled(facts: Facts) -> Finding | None:
    """A Raspberry Pi is or was under-powered or too hot since boot."""
    flags = facts.throttled_flags or 0
    now, before = spoken(flags), spoken(flags >> SINCE_BOOT)
    if not now and not before:
        return None
    what = f"now {now}" if now else f"since boot {before}"
    cure = "a stronger power supply or a shorter cable" if flags & VOLTAGE else "a heat sink or a fan"
    return Finding(
        level=ADVICE, message=f"{what} (throttled=0x{flags:x}): it does not keep its speed", hint=cure
    )


def spoken(flags: int) -> str:
    """The lowest four bits in words."""
    return ", ".join(words for bit, words in THROTTLED if flags >> bit & 1)


def hot(facts: Facts) -> Finding | None:
    """The CPU is at the temperature where boards begin to throttle."""
    zones = [zone for zone in facts.thermal if zone.cpu] or list(facts.thermal)
    warmest = max(zones, key=lambda zone: zone.temperature_c, default=None)
    if warmest is None or warmest.temperature_c < HOT_C:
        return None
    return Finding(level=ADVICE, message=f"hot: {warmest.temperature_c:.0f} C ({warmest.zone})",
                   hint="measure when it is cooler, or cool it: a hot board throttles")  # fmt: skip


def power_mode(facts: Facts) -> Finding | None:
    """A Jetson is in a power mode that disables cores or lowers clocks."""
    if not facts.power_mode or facts.power_mode.startswith("MAXN"):
        return None
    return Finding(level=ADVICE, message=f"power mode: {facts.power_mode}; cores and clocks depend on it",
                   hint="measure in the mode that the application runs in, or set another one with nvpmodel")  # fmt: skip


def governor(facts: Facts) -> Finding | None:
    """The CPU clock varies with the load."""
    if not facts.governor or facts.governor == "performance":
        return None
    return Finding(level=ADVICE, message=f"governor: {facts.governor}; latency depends on it",
                   hint="measure as the application runs, or set it to performance")  # fmt: skip


def guard(facts: Facts, board: str) -> Finding | None:
    """Nothing would end an interrupted trial after a reboot."""
    if facts.guard not in ("", "none"):
        return None
    return Finding(level=ADVICE, message="no reboot guard: a trial cut by a power failure is reverted at the next session",
                   hint=f"let the board do it by itself: `edgewright doctor {board} --install-guard`")  # fmt: skip
