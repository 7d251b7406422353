"""Facts: a board's properties, as its agent reads them. Facts override the profile."""

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
        ref: the argument for `install`: a runtime id, or `system:<distribution>`.
        system: the board's own runtime, not provisioned by edgewright.
    """

    ref: str
    name: str
    target: str
    version: str
    system: bool = False


class ThermalZone(msgspec.Struct, frozen=True, kw_only=True):
    """One temperature of the board.

    Attributes:
        zone: the kernel's name for it, such as `cpu-thermal`, `CPU-therm` or `x86_pkg_temp`.
        temperature_c: degrees Celsius when the facts were read.
        cpu: whether it is a CPU temperature; there may be several.
    """

    zone: str
    temperature_c: float
    cpu: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A board's facts. Unknown keys are ignored: a newer agent may report more.

    Attributes:
        arch: `uname -m`.
        memory_mb, memory_available_mb: MiB.
        swaps: rows of `/proc/swaps`: device, type, KiB, KiB in use, priority.
        displays: number of graphical sessions: sockets such as `/tmp/.X11-unix/X0`, which Wayland sessions open too.
        disk_free_bytes, disk_free_inodes: of the file system under the root folder.
        jetpack: release of Jetson's system, such as `R36.4.7`; empty on other boards.
        page_size: of the kernel, bytes.
        cpu_features: those that all CPUs have, as `/proc/cpuinfo` names them; None if the agent does not report them.
        governor: of the CPUs' frequency; several are joined by `,`.
        thermal: zones that report a temperature; unpowered and constant ones are left out.
        throttled_flags: the value of `vcgencmd get_throttled` (Raspberry Pi); None if there is none.
        power_mode: of `nvpmodel` (Jetson), such as `MAXN`, or empty.
        simulated: names of the facts that were substituted.
        guard: what ends a trial after a reboot: `cron`, `systemd`, or `none`.
        numpy: version of the numpy in the board's own Python; empty if it has none; None if the agent does not report it.
        root_problem: why the root folder cannot be used (`noexec`, `volatile`, `read-only`), or empty.
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
    cpu_features: tuple[str, ...] | None = None
    cpus: int = 0
    page_size: int = 0
    memory_mb: int = 0
    memory_available_mb: int = 0
    swaps: tuple[tuple[str, ...], ...] = ()
    displays: int = 0
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

    @property
    def disk_known(self) -> bool:
        """Whether the board says how much of its disk is free; 0 bytes, or 0 inodes, are a full disk then."""
        return bool(self.disk_free_bytes or self.disk_free_inodes)
