"""Reads the facts of this board. An unknown fact is empty; nothing here raises."""

import os
import sys

from edgewright_agent import shapes
from edgewright_agent.board import hardware, identity, sensors, system
from edgewright_agent.board.sensors import read_text, system_paths, system_text
from edgewright_agent.storage import root as roots

GPU_NODES = "/dev/nvhost*gpu*", "/dev/nvgpu*", "/dev/nvidia[0-9]*"


def read(
    root: "str", runtimes: "list[shapes.RuntimeFact]", names: "tuple[str, ...] | None" = ()
) -> "shapes.Result":
    """Read all facts of this board.

    Args:
        root: absolute root folder.
        runtimes: the provisioned runtimes, dicts with `ref`, `name`, `target`, `version`.
        names: distributions of the board's own Python that count as runtimes; None: the list of old hosts.

    Returns:
        dict as `edgewright.nouns.facts.Facts`, without `guard`.
    """
    told = hardware.said()
    facts = dict(identity.read(root), **_machine(told))
    facts.update(_memory(), **_disk(root))
    facts.update(
        swaps=[line.split() for line in (system_text("/proc/swaps") or "").splitlines()[1:]],
        displays=len(system_paths("/tmp/.X11-unix/X*")),  # noqa: S108 - X opens its sockets there
        python=hardware.python_facts(told),
        libc=hardware.libc_facts(told["libc"]),
        openssh=hardware.parse_openssh(sensors.ask("ssh", "-V") or sensors.ask("sshd", "-V")),
        accelerators=_accelerators(),
        sensors=sensors.names(),
        thermal=_thermal(),
        throttled_flags=sensors.throttled_flags(),
        power_mode=sensors.power_mode() or "",
        governor=sensors.governor() or "",
        runtimes=[dict(one, system=bool(one.get("system"))) for one in runtimes] + system.runtimes(names),
        numpy=system.distributions().get("numpy", ""),
        root=root,
        root_problem=roots.problem(root),
        board_id=roots.read_text(os.path.join(root, "board_id")).strip(),
    )
    return identity.substituted(facts, root)


def _machine(told: "shapes.Told") -> "shapes.Result":
    cpuinfo = system_text("/proc/cpuinfo") or ""
    machine = {key: told[key] for key in ("arch", "hostname", "kernel", "cpus", "page_size")}
    return dict(
        machine,
        model=system_text("/proc/device-tree/model")
        or system_text("/sys/class/dmi/id/product_name")
        or hardware.parse_cpuinfo_model(cpuinfo),
        distribution=hardware.parse_os_release(system_text("/etc/os-release") or ""),
        jetpack=hardware.parse_jetpack(system_text("/etc/nv_tegra_release")),
        cpu=hardware.parse_cpu(cpuinfo),
        cpu_features=hardware.parse_cpu_features(cpuinfo),
    )


def _memory() -> "dict[str, int]":
    text = system_text("/proc/meminfo") or ""
    total, free = hardware.meminfo_kb(text, "MemTotal"), hardware.meminfo_kb(text, "MemAvailable")
    return {"memory_mb": total // 1024, "memory_available_mb": free // 1024}


def _thermal() -> "list[shapes.Result]":
    known = sensors.thermal_zones()
    cpu = sensors.cpu_zones(known)
    return [{"zone": zone[0], "temperature_c": zone[1], "cpu": zone in cpu} for zone in known]


def _disk(root: "str") -> "dict[str, int]":
    try:
        disk = os.statvfs(root)
    except OSError:
        return {"disk_free_bytes": 0, "disk_free_inodes": 0}
    # some file systems do not count inodes and report 0 of 0
    inodes = disk.f_favail if disk.f_files else sys.maxsize
    return {"disk_free_bytes": disk.f_bavail * disk.f_frsize, "disk_free_inodes": inodes}


def _accelerators() -> "list[str]":
    nodes = [path for name in GPU_NODES for path in system_paths(name)]
    vendors = [read_text(path) for path in system_paths("/sys/bus/usb/devices/*/idVendor")]
    return hardware.accelerators(nodes, system_paths("/dev/dri/renderD*"), vendors)
