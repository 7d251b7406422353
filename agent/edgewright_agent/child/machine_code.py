"""Refuses machine code that was compiled for another CPU: it would end this process with SIGILL."""

import platform
import struct

from edgewright_agent import shapes
from edgewright_agent.board import hardware
from edgewright_agent.board.sensors import system_text
from edgewright_agent.protocol import AgentError, Code


def check(cpu: "shapes.Cpu") -> "None":
    """Raise AgentError `load-failed` unless this board's CPU runs code for the CPU of a manifest."""
    runs = hardware.platform_of("linux-" + platform.machine(), struct.calcsize("P"))
    lacking = [cpu["arch"]]
    if runs == "linux-" + cpu["arch"]:
        has = hardware.parse_cpu_features(system_text("/proc/cpuinfo") or "")
        lacking = [name for name in cpu["features"] if name not in has]
    if lacking:
        message = "the model is compiled for %s (%s), this CPU lacks %s"
        raise AgentError(
            Code.LOAD_FAILED,
            message % (cpu["name"], cpu["arch"], ", ".join(lacking)),
            advice="convert the model again for the CPU of this board",
        )
