"""Parses output of the kernel and of tools into facts. Pure functions, except `said` and the call of musl's loader."""

import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig

from edgewright_agent import shapes
from edgewright_agent.board import sensors

ARM_PARTS = {  # (implementer, part) of /proc/cpuinfo: name
    (0x41, 0xB76): "ARM1176",
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xC0F): "Cortex-A15",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
}
NARROW = {
    "aarch64": "armv7l",
    "arm64": "armv7l",
    "armv8l": "armv7l",
    "x86_64": "i686",
}  # a 64-bit kernel under a 32-bit Python
MYRIAD_VENDOR = "03e7"
MAX_FEATURES = 1024  # names; the longest known list has some 150
MUSL_LOADERS = "/lib/ld-musl-*.so.1"


def fields(text: "str", name: "str") -> "list[str]":
    """The values of `name : value` lines."""
    return re.findall(r"^%s[ \t]*:[ \t]*(\S.*?)[ \t]*$" % re.escape(name), text, re.MULTILINE | re.IGNORECASE)


def parse_cpu(text: "str") -> "str":
    """The CPU in `/proc/cpuinfo`: the model name on x86, the names of the cores joined by ` + ` on Arm."""
    makers, parts = fields(text, "CPU implementer"), fields(text, "CPU part")
    names = []
    for maker, part in zip(makers, parts):
        try:
            key = int(maker, 16), int(part, 16)
        except ValueError:
            continue
        name = ARM_PARTS.get(key, "arm 0x%02x 0x%03x" % key)
        if name not in names:
            names.append(name)
    if names:
        return " + ".join(names)
    return (fields(text, "model name") or [""])[0]


def parse_cpu_features(text: "str") -> "list[str]":
    """The features in `/proc/cpuinfo` that all CPUs have, sorted: `flags` on x86, `Features` on Arm."""
    lines = [set(line.split()) for line in fields(text, "Features") or fields(text, "flags")]
    return sorted(set.intersection(*lines))[:MAX_FEATURES] if lines else []


def parse_cpuinfo_model(text: "str") -> "str":
    """The board's name at the end of `/proc/cpuinfo`, if the Arm kernel writes one."""
    return (fields(text, "Model") or [""])[0] if fields(text, "CPU part") else ""


def meminfo_kb(text: "str", name: "str") -> "int":
    """KiB of one line of `/proc/meminfo`, 0 if it is missing (MemAvailable before Linux 3.14)."""
    found = re.search(r"^%s:\s+(\d+) kB$" % name, text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def parse_os_release(text: "str") -> "str":
    """PRETTY_NAME of `/etc/os-release`, else NAME and VERSION_ID."""
    values = dict(re.findall(r"^([A-Z_]+)=[\"']?(.*?)[\"']?$", text, re.MULTILINE))
    plain = "%s %s" % (values.get("NAME", ""), values.get("VERSION_ID", ""))
    return values.get("PRETTY_NAME") or plain.strip()


def parse_openssh(text: "str | None") -> "str":
    """The version of OpenSSH, such as 8.4p1, in the output of `ssh -V`; empty for other programs."""
    found = re.search(r"OpenSSH_([0-9][0-9A-Za-z.]*)", text or "")
    return found.group(1) if found else ""


def parse_musl(text: "str | None") -> "str":
    """The version in the output of musl's loader."""
    found = re.search(r"^Version (\d[\d.]*)", text or "", re.MULTILINE)
    return found.group(1) if found else ""


def parse_glibc(text: "str | None") -> "str":
    """The version in text such as `glibc 2.31`, or empty."""
    found = re.match(r"glibc (\d[\d.]*)", text or "")
    return found.group(1) if found else ""


def parse_jetpack(text: "str | None") -> "str":
    """The Jetson Linux release in `/etc/nv_tegra_release`, such as R32.7.1: each JetPack has a different one."""
    found = re.match(r"# (R\d+) \(release\), REVISION: (\d[\d.]*)", text or "")
    return "%s.%s" % found.groups() if found else ""


def said() -> "shapes.Told":
    """Facts that the kernel and this Python report, not those in files; `libc` is None without glibc."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        libc = None
    return {
        "arch": platform.machine(),
        "hostname": platform.node(),
        "kernel": platform.release(),
        "cpus": os.cpu_count() or 0,
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "libc": libc,
        "version": sys.version_info[:3],
        "implementation": sys.implementation.name,
        "executable": sys.executable or "",
        "platform": sysconfig.get_platform(),
        "pointer_bytes": struct.calcsize("P"),
    }


def libc_facts(libc: "str | None") -> "dict[str, str]":
    """`{"name","version"}` of the C library that this Python runs on."""
    glibc = parse_glibc(libc)
    if glibc:
        return {"name": "glibc", "version": glibc}
    for path in sensors.system_paths(MUSL_LOADERS):
        return {"name": "musl", "version": parse_musl(_stderr(path))}
    return {"name": "", "version": ""}


def _stderr(path: "str") -> "str":
    null = subprocess.DEVNULL
    try:
        done = subprocess.run([path], stdin=null, stdout=null, stderr=subprocess.PIPE, timeout=2)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stderr.decode("utf-8", "replace")


def platform_of(platform: "str", pointer_bytes: "int") -> "str":
    """Correct `sysconfig.get_platform()`: it names the kernel's architecture, even in a 32-bit Python."""
    system, _, machine = platform.rpartition("-")
    return "%s-%s" % (system, NARROW.get(machine, machine)) if pointer_bytes == 4 else platform


def python_facts(told: "shapes.Told") -> "dict[str, str]":
    """`{"version","executable","platform","tag"}` of the Python that `said` describes."""
    implementation = {"cpython": "cp", "pypy": "pp"}.get(told["implementation"], "py")
    return {
        "version": "%d.%d.%d" % tuple(told["version"]),
        "executable": told["executable"],
        "platform": platform_of(told["platform"], told["pointer_bytes"]),
        "tag": "%s%d%d" % (implementation, told["version"][0], told["version"][1]),
    }


def accelerators(
    nvidia_nodes: "list[str]", render_nodes: "list[str]", usb_vendors: "list[str | None]"
) -> "list[str]":
    """Names of the devices other than the CPU; the runner decides whether its runtime can use them.

    Returns:
        `cuda` for NVIDIA's device nodes, `gpu` for any GPU, `myriad` for an Intel stick.
    """
    found = ["cuda"] if nvidia_nodes else []
    found += ["gpu"] if nvidia_nodes or render_nodes else []
    found += ["myriad"] if MYRIAD_VENDOR in usb_vendors else []
    return found
