"""How an x86 CPU sums products of 8-bit integers. Python 3.6, standard library only."""

import os

from edgewright_agent import shapes

_CPUINFO = "/proc/cpuinfo"
_VNNI = {"avx512_vnni", "avx_vnni"}  # CPU flags for summing 8-bit products in 32 bits
_FORCED = "EDGEWRIGHT_X86_VNNI"


def saturate(options: "shapes.Options") -> "bool":
    """Whether to assume that this CPU sums 8-bit products in 16 bits, two at a time: x86 without VNNI.

    Exact sums are slower, so they are limited to these CPUs. EDGEWRIGHT_X86_VNNI, 0 or 1, overrides the CPU's flags. With
    `exact` in the options, a 1 is ignored: for verdicts that apply to other machines.
    """
    if os.uname()[4] != "x86_64":
        return False
    forced = os.environ.get(_FORCED)
    if forced == "0" or (forced == "1" and not options.get("exact")):
        return forced == "0"
    try:
        with open(_CPUINFO) as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        flags = ""
    return not _VNNI & set(flags.split())
