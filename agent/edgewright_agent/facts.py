"""What this board is and has, read from the kernel's files. An unknown fact is empty; nothing here raises."""

import glob
import hashlib
import json
import os
import platform
import sys

from edgewright_agent import hardware, sensors, system
from edgewright_agent import root as roots
from edgewright_agent.sensors import read_text

SUBSTITUTES = "facts.json"  # in the root folder: an administrator's word on what this board is
SUBSTITUTABLE = {
    "model": str,
    "arch": str,
    "serial": str,
    "memory_mb": int,
    "cpus": int,
    "cpu": str,
    "accelerators": list,
    "sensors": list,
    "distribution": str,
}


def read(root, runtimes):
    """All facts of this board.

    Args:
        root: absolute root folder.
        runtimes: the provisioned runtimes, dicts with `ref`, `name`, `target`, `version`.

    Returns:
        dict as `edgewright.nouns.facts.Facts`, without `guard`.
    """
    facts = _machine()
    facts.update(_memory(), **_disk(root))
    facts.update(
        python=hardware.python_facts(),
        libc=hardware.libc_facts(),
        openssh=hardware.parse_openssh(sensors.ask("ssh", "-V") or sensors.ask("sshd", "-V")),
        accelerators=_accelerators(),
        sensors=sensors.names(),
        governor=sensors.governor() or "",
        runtimes=[_plain(runtime) for runtime in runtimes] + system.runtimes(),
        root=root,
        root_problem=roots.problem(root),
        board_id=read_text(os.path.join(root, "board_id")) or "",
    )
    return substitute(facts, read_text(os.path.join(root, SUBSTITUTES)))


def _machine():
    cpuinfo = read_text("/proc/cpuinfo") or ""
    return {
        "model": read_text("/proc/device-tree/model")
        or read_text("/sys/class/dmi/id/product_name")
        or hardware.parse_cpuinfo_model(cpuinfo),
        "arch": platform.machine(),
        "serial": serial(read_text("/proc/device-tree/serial-number"), read_text("/etc/machine-id")),
        "hostname": platform.node(),
        "distribution": hardware.parse_os_release(read_text("/etc/os-release") or ""),
        "kernel": platform.release(),
        "cpu": hardware.parse_cpu(cpuinfo),
        "cpus": os.cpu_count() or 0,
        "page_size": os.sysconf("SC_PAGE_SIZE"),
    }


def _memory():
    text = read_text("/proc/meminfo") or ""
    total, free = hardware.meminfo_kb(text, "MemTotal"), hardware.meminfo_kb(text, "MemAvailable")
    return {"memory_mb": total // 1024, "memory_available_mb": free // 1024}


def _disk(root):
    try:
        disk = os.statvfs(root)
    except OSError:
        return {"disk_free_bytes": 0, "disk_free_inodes": 0}
    # some file systems count no inodes and say 0 of 0
    inodes = disk.f_favail if disk.f_files else sys.maxsize
    return {"disk_free_bytes": disk.f_bavail * disk.f_frsize, "disk_free_inodes": inodes}


def _accelerators():
    nodes = glob.glob("/dev/nvhost*gpu*") + glob.glob("/dev/nvgpu*") + glob.glob("/dev/nvidia[0-9]*")
    vendors = [read_text(path) for path in glob.glob("/sys/bus/usb/devices/*/idVendor")]
    return hardware.accelerators(nodes, glob.glob("/dev/dri/renderD*"), vendors)


def _plain(runtime):
    known = {key: runtime[key] for key in ("ref", "name", "target", "version")}
    return dict(known, system=bool(runtime.get("system", False)))


def serial(hardware_serial, machine_id):
    """The hardware's serial number, else a hash of the machine id, which is not to be made public itself."""
    if hardware_serial:
        return hardware_serial
    if not machine_id:
        return ""
    return "machine-" + hashlib.sha256(b"edgewright " + machine_id.encode("utf-8")).hexdigest()[:24]


def substitute(facts, text):
    """The facts with an administrator's substitutes, named in `simulated`. What decides about wheels stays.

    Args:
        text: JSON of the substitutes, or None. What is not known, or not of its type, is passed over.
    """
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    taken = {key: value for key, value in found.items() if fits(key, value)}
    told = found.get("simulated")  # facts that are read here, from files that stand for hardware
    named = [name for name in told if name in SUBSTITUTABLE] if isinstance(told, list) else []
    merged = dict(facts)
    merged.update(taken, simulated=sorted(set(taken).union(named)))
    return merged


def fits(key, value):
    """Whether a fact may be substituted by this value."""
    kind = SUBSTITUTABLE.get(key)
    if kind is None or not isinstance(value, kind) or isinstance(value, bool):
        return False
    return kind is not list or all(isinstance(item, str) for item in value)
