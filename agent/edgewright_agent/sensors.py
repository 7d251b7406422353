"""Reads a board's sensors: what throttles, warms or clocks it. Unknown is None; nothing here raises."""

import glob
import os
import re
import shutil
import signal
import subprocess

TOOL_SECONDS = 2
TOOL_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/vc/bin"
CPUFREQ = "/sys/devices/system/cpu/cpu%s/cpufreq/"
# bits 0-3: undervoltage, frequency capped, throttled, soft temperature limit; 16-19 the same since boot
THROTTLED_NOW = 0xF


def read_text(path):
    """The text of a small file, without NUL and space around; None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(1024 * 1024).decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def tool(name):
    """Absolute path of an external program, or None. Logins over SSH often lack the sbin folders on PATH."""
    return shutil.which(name, path=TOOL_PATH)


def ask(name, *arguments):
    """What a program prints (stdout and stderr), or None when it is absent, fails to start or takes 2 s."""
    path = tool(name)
    if path is None:
        return None
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen([path] + list(arguments), cwd="/", start_new_session=True, **pipes)
    except (OSError, subprocess.SubprocessError):
        return None
    try:
        return process.communicate(timeout=TOOL_SECONDS)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with all it started: they hold the pipe
        return None
    finally:
        process.stdout.close()
        process.wait()


def parse_throttled(text):
    """The word of `vcgencmd get_throttled`, such as `throttled=0x50005`."""
    found = re.match(r"throttled=0x([0-9a-fA-F]+)\s*\Z", text or "")
    return int(found.group(1), 16) if found else None


def parse_power_mode(text):
    """The mode's name in the output of `nvpmodel -q`, such as `MAXN`."""
    found = re.search(r"^NV Power Mode:\s*(\S.*?)\s*$", text or "", re.MULTILINE)
    return found.group(1) if found else None


def parse_load(text):
    """One-minute load average of `/proc/loadavg`."""
    found = re.match(r"(\d+(?:\.\d+)?) ", text or "")
    return float(found.group(1)) if found else None


def parse_swap_in(text):
    """`pswpin` of `/proc/vmstat`: pages swapped in since boot."""
    found = re.search(r"^pswpin (\d+)$", text or "", re.MULTILINE)
    return int(found.group(1)) if found else None


def parse_cpu_ticks(text):
    """(busy, all) ticks since boot, summed over the CPUs, of `/proc/stat`; waiting for disks is not busy.

    Stolen time is busy: another guest had the CPU. The guest columns are in user and nice already.
    """
    found = re.match(r"cpu((?:\s+\d+)+)", text or "")
    ticks = [int(value) for value in found.group(1).split()][:8] if found else []
    if len(ticks) < 5:
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def pick_temperature(zones):
    """Degrees Celsius of thermal zones, (type, text of `temp` in thousandths): the CPU's, else the hottest.

    Tegra's PMIC zone always says 100 degrees.
    """
    known = []
    for kind, text in zones:
        if re.match(r"-?\d+\Z", text or "") and "pmic" not in (kind or "").lower():
            known.append((kind or "", int(text) / 1000.0))
    cpu = [value for kind, value in known if re.search(r"cpu|x86_pkg|soc", kind.lower())]
    values = cpu or [value for _, value in known]
    return max(values) if values else None


def temperature_c():
    """Degrees Celsius, or None."""
    zones = sorted(glob.glob("/sys/class/thermal/thermal_zone*"))
    return pick_temperature([(read_text(zone + "/type"), read_text(zone + "/temp")) for zone in zones])


def governor():
    """The CPUs' frequency governor; with several, joined by `,`. None where there is none."""
    texts = [read_text(path) for path in glob.glob(CPUFREQ % "[0-9]*" + "scaling_governor")]
    return ",".join(sorted(set(filter(None, texts)))) or None


def frequency_mhz():
    """The fastest CPU's clock now, MHz, or None."""
    texts = [read_text(path) for path in glob.glob(CPUFREQ % "[0-9]*" + "scaling_cur_freq")]
    values = [int(text) for text in texts if text and text.isdigit()]
    return max(values) / 1000.0 if values else None


def throttled_flags():
    """The raw word of `vcgencmd get_throttled`, or None."""
    return parse_throttled(ask("vcgencmd", "get_throttled"))


def names():
    """Names of the sensors that this board has."""
    found = [name for name in ("vcgencmd", "nvpmodel", "tegrastats") if tool(name)]
    if temperature_c() is not None:
        found.append("thermal")
    if os.path.exists(CPUFREQ % "0" + "scaling_cur_freq"):
        found.append("cpufreq")
    return found
