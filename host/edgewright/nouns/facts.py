"""Facts: what a board has, as its agent reads it. Facts win over the profile."""

from __future__ import annotations

import msgspec


class PythonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The Python that runs the agent. `platform` is `sysconfig.get_platform()`: it decides about wheels."""

    version: str
    executable: str
    platform: str
    tag: str = ""  # such as cp311


class LibcFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is glibc or musl; `version` such as 2.36."""

    name: str = ""
    version: str = ""


class RuntimeFact(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime on the board.

    Attributes:
        ref: what `install` takes: a runtime id, or `system:<distribution>`.
        system: the board's own, not provisioned by edgewright.
    """

    ref: str
    name: str
    target: str
    version: str
    system: bool = False


class ThermalZone(msgspec.Struct, frozen=True, kw_only=True):
    """One temperature of the board.

    Attributes:
        zone: the kernel's name of it, such as `cpu-thermal`, `CPU-therm` or `x86_pkg_temp`.
        temperature_c: degrees Celsius when the facts were read.
        cpu: whether it is the CPU's; several may be.
    """

    zone: str
    temperature_c: float
    cpu: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown keys are ignored: a newer agent may know more.

    Attributes:
        arch: `uname -m`.
        memory_mb, memory_available_mb: MiB.
        disk_free_bytes, disk_free_inodes: of the file system under the root folder.
        jetpack: release of Jetson's system, such as `R36.4.7`; empty on other boards.
        page_size: of the kernel, bytes.
        governor: of the CPUs' frequency; with several, joined by `,`.
        thermal: zones that tell a temperature; those without power and constant ones are left out.
        throttled_flags: the word of `vcgencmd get_throttled` (Raspberry Pi), None where there is none.
        power_mode: of `nvpmodel` (Jetson), such as `MAXN`, or empty.
        simulated: names of the facts that were substituted.
        guard: what ends a trial after a reboot: `cron`, `systemd`, or `none`.
        numpy: version of the numpy that the board's own Python has; empty: none; None: the agent does not say.
        root_problem: why the root folder must not be used (`noexec`, `volatile`, `read-only`), or empty.
    """

    model: str = ""
    arch: str = ""
    serial: str = ""
    board_id: str = ""
    hostname: str = ""
    distribution: str = ""
    jetpack: str = ""
    kernel: str = ""
    openssh: str = ""
    cpu: str = ""
    cpus: int = 0
    page_size: int = 0
    memory_mb: int = 0
    memory_available_mb: int = 0
    disk_free_bytes: int = 0
    disk_free_inodes: int = 0
    python: PythonFacts = PythonFacts(version="", executable="", platform="")
    libc: LibcFacts = LibcFacts()
    accelerators: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    thermal: tuple[ThermalZone, ...] = ()
    throttled_flags: int | None = None
    power_mode: str = ""
    governor: str = ""
    runtimes: tuple[RuntimeFact, ...] = ()
    numpy: str | None = None
    root: str = ""
    root_problem: str = ""
    guard: str = ""
    simulated: tuple[str, ...] = ()
