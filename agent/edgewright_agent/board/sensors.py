"""Reads a board's sensors: throttling, temperature, clocks. An unknown value is None; nothing here raises."""

import glob
import os
import re
import shutil
import signal
import subprocess

from edgewright_agent import shapes

TOOL_SECONDS = 2
TOOL_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/vc/bin"
TOP = ""  # a folder with the system files of another board, to read that board's facts here
CPUFREQ = "/sys/devices/system/cpu/cpu%s/cpufreq/"
ZONES = "/sys/class/thermal/thermal_zone*"
CPU_ZONES = "cpu|x86_pkg|bcm2835", "soc|package"  # types of thermal zones; the first match wins
# bits 0-3: undervoltage, frequency capped, throttled, soft temperature limit; bits 16-19: the same since boot
THROTTLED_NOW = 0xF


def read_text(path: "str") -> "str | None":
    """The text of a small file, stripped of NULs and white space; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(1024 * 1024)
    except OSError:
        return None
    # a sensor without power fails with EAGAIN, and Python returns None
    return None if data is None else data.decode("utf-8", "replace").strip("\0 \t\r\n")


def system_text(path: "str") -> "str | None":
    """`read_text` of a system file, below `TOP`."""
    return read_text(TOP + path)


def system_paths(pattern: "str") -> "list[str]":
    """The system files below `TOP` that match a pattern, in numeric order."""
    return sorted(glob.glob(TOP + pattern), key=lambda path: (len(path), path))


def tool(name: "str") -> "str | None":
    """Absolute path of an external program, or None. Logins over SSH often lack the sbin folders on PATH."""
    return shutil.which(name, path=":".join(TOP + folder for folder in TOOL_PATH.split(":")))


def ask(name: "str", *arguments: "str") -> "str | None":
    """The output of a program (stdout and stderr), or None if it is absent, fails to start or takes 2 s."""
    path = tool(name)
    if path is None:
        return None
    try:
        process = subprocess.Popen(
            [path] + list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    try:
        return process.communicate(timeout=TOOL_SECONDS)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # and all that it started: they hold the pipe open
        return None
    finally:
        if process.stdout:
            process.stdout.close()
        process.wait()


def parse_throttled(text: "str | None") -> "int | None":
    """The word of `vcgencmd get_throttled`, such as `throttled=0x50005`."""
    found = re.match(r"throttled=0x([0-9a-fA-F]+)\s*\Z", text or "")
    return int(found.group(1), 16) if found else None


def parse_power_mode(text: "str | None") -> "str | None":
    """The mode's name in the output of `nvpmodel -q`, such as `MAXN`."""
    found = re.search(r"^NV Power Mode:\s*(\S.*?)\s*$", text or "", re.MULTILINE)
    return found.group(1) if found else None


def parse_load(text: "str | None") -> "float | None":
    """One-minute load average of `/proc/loadavg`."""
    found = re.match(r"(\d+(?:\.\d+)?) ", text or "")
    return float(found.group(1)) if found else None


def parse_swap_in(text: "str | None") -> "int | None":
    """`pswpin` of `/proc/vmstat`: pages swapped in since boot."""
    found = re.search(r"^pswpin (\d+)$", text or "", re.MULTILINE)
    return int(found.group(1)) if found else None


def parse_cpu_ticks(text: "str | None") -> "tuple[int, int] | None":
    """(busy, all) ticks since boot in `/proc/stat`, summed over the CPUs; waiting for disks is not busy.

    Stolen time is busy: another guest had the CPU. The user and nice columns already include the guest columns.
    """
    found = re.match(r"cpu((?:\s+\d+)+)", text or "")
    ticks = [int(value) for value in found.group(1).split()][:8] if found else []
    if len(ticks) < 5:
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def parse_zones(zones: "list[tuple[str | None, str | None]]") -> "list[shapes.Zone]":
    """Turn thermal zones, (type, text of `temp` in thousandths), into (type, degrees Celsius); drop invalid ones.

    Tegra's PMIC zone always reports 100 degrees, and a zone without power -256.
    """
    known = [(kind or "", int(text)) for kind, text in zones if text and re.match(r"-?\d{1,6}\Z", text)]
    return [(kind, value / 1000.0) for kind, value in known if value > -100000 and "pmic" not in kind.lower()]


def cpu_zones(known: "list[shapes.Zone]") -> "list[shapes.Zone]":
    """The zones of the CPU among (type, degrees Celsius); empty if no type names it."""
    for name in CPU_ZONES:
        found = [zone for zone in known if re.search(name, zone[0].lower())]
        if found:
            return found
    return []


def pick_temperature(known: "list[shapes.Zone]") -> "float | None":
    """Degrees Celsius of the CPU's zone, else of the hottest; None without zones."""
    return max([degrees for _, degrees in cpu_zones(known) or known], default=None)


def thermal_zones() -> "list[shapes.Zone]":
    """(type, degrees Celsius) of every thermal zone with a valid temperature."""
    return parse_zones(
        [(read_text(zone + "/type"), read_text(zone + "/temp")) for zone in system_paths(ZONES)]
    )


def temperature_c() -> "float | None":
    """Degrees Celsius, or None."""
    return pick_temperature(thermal_zones())


def governor() -> "str | None":
    """The CPUs' frequency governor; several are joined by `,`. None if there is none."""
    texts = [read_text(path) for path in system_paths(CPUFREQ % "[0-9]*" + "scaling_governor")]
    return ",".join(sorted(set(filter(None, texts)))) or None


def frequency_mhz() -> "float | None":
    """The current clock of the fastest CPU, MHz, or None."""
    texts = [read_text(path) for path in system_paths(CPUFREQ % "[0-9]*" + "scaling_cur_freq")]
    values = [int(text) for text in texts if text and text.isdigit()]
    return max(values) / 1000.0 if values else None


def power_mode() -> "str | None":
    """The name of a Jetson's power mode, or None."""
    return parse_power_mode(ask("nvpmodel", "-q"))


def throttled_flags() -> "int | None":
    """The raw word of `vcgencmd get_throttled`, or None."""
    return parse_throttled(ask("vcgencmd", "get_throttled"))


def names() -> "list[str]":
    """Names of the sensors that this board has."""
    found = [name for name in ("vcgencmd", "nvpmodel", "tegrastats") if tool(name)]
    if temperature_c() is not None:
        found.append("thermal")
    if system_paths(CPUFREQ % "0" + "scaling_cur_freq"):
        found.append("cpufreq")
    return found
