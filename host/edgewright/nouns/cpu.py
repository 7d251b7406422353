"""Cpu: what code that is compiled ahead of time runs on, and the CPUs that edgewright knows."""

from __future__ import annotations

from collections.abc import Collection

from edgewright.nouns.base import Noun


class Cpu(Noun, frozen=True, kw_only=True):
    """The CPU that machine code was compiled for.

    Attributes:
        arch: as `uname -m` names it.
        name: as LLVM names it, such as `cortex-a72`; `generic` runs on every CPU of the architecture.
        features: what the code may use, as `/proc/cpuinfo` names it, such as `asimddp`.
    """

    arch: str
    name: str
    features: tuple[str, ...]

    @property
    def without(self) -> tuple[str, ...]:
        """Features that LLVM assumes by this name, but that some of these CPUs lack: a Raspberry Pi's have no AES. A compiler has to leave them out."""
        return _OPTIONAL.get(self.arch, ())

    @property
    def title(self) -> str:
        """For people, such as `cortex-a72 (aarch64)`."""
        return f"{self.name} ({self.arch})"

    def lacks(self, arch: str, features: Collection[str]) -> tuple[str, ...]:
        """What a machine lacks to run the code: the architecture, or else features; empty if it runs it.

        Args:
            arch: that of its programs.
            features: of its CPU, as `/proc/cpuinfo` names them.
        """
        if arch != self.arch:
            return (self.arch,)
        return tuple(one for one in self.features if one not in features)


_OPTIONAL = {"aarch64": ("aes", "sha2")}

_ARM = ("fp", "asimd")
_ARM_CRC = (*_ARM, "crc32")
_ARM_8_2 = (*_ARM_CRC, "atomics", "asimdrdm", "fphp", "asimdhp")
_ARM_DOT = (*_ARM_8_2, "asimddp", "lrcpc")
_V1 = ("cmov", "cx8", "fxsr", "mmx", "sse", "sse2")
_V2 = (*_V1, "cx16", "lahf_lm", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2")
_V3 = (*_V2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

# From LLVM's tables; a test compares them with the compiler's own. Of each architecture the generic one is first, the best last.
_FEATURES = {
    "aarch64": {
        "generic": _ARM,
        "cortex-a35": _ARM_CRC,
        "cortex-a53": _ARM_CRC,
        "cortex-a57": _ARM_CRC,
        "cortex-a72": _ARM_CRC,
        "cortex-a73": _ARM_CRC,
        "carmel": _ARM_8_2,
        "cortex-a55": _ARM_DOT,
        "cortex-a76": _ARM_DOT,
        "cortex-a78": _ARM_DOT,
        "cortex-a78ae": _ARM_DOT,
    },
    "x86_64": {"x86-64": _V1, "x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4},
}
CPUS = {
    (arch, name): Cpu(arch=arch, name=name, features=features)
    for arch, rows in _FEATURES.items()
    for name, features in rows.items()
}


def of_arch(arch: str) -> tuple[Cpu, ...]:
    """The known CPUs of an architecture, the generic one first; empty if it is unknown."""
    return tuple(cpu for (one, _), cpu in CPUS.items() if one == arch)


def generic(arch: str) -> Cpu:
    """The CPU that every machine of a known architecture covers."""
    return of_arch(arch)[0]


def best(arch: str, features: Collection[str]) -> Cpu:
    """The last known CPU of an architecture whose code runs on a machine with these features; the generic one if there is none."""
    found = [cpu for cpu in of_arch(arch) if not cpu.lacks(arch, features)]
    return found[-1] if found else generic(arch)


def of_machine(arch: str, title: str, features: Collection[str]) -> Cpu:
    """The CPU of a machine: the known one that people call by a title, if its code runs there, else as `best`."""
    found = named(arch, title)
    return best(arch, features) if found is None or found.lacks(arch, features) else found


def named(arch: str, title: str) -> Cpu | None:
    """The CPU that people call by a title, such as `Cortex-A72`; None if it is unknown."""
    return CPUS.get((arch, title.lower().removeprefix("nvidia ")))


def of_board(arch: str, title: str) -> Cpu:
    """The CPU of a kind of board with a known architecture.

    Args:
        title: what people call its cores, such as `Cortex-A72`; the generic CPU is taken if it is unknown.
    """
    return named(arch, title) or generic(arch)
