"""The architectures whose boards this machine emulates: all that differs between them is in these records.

To add one: write its record and append it to `ARCHITECTURES`.
"""

from __future__ import annotations

from edgewright.errors import UsageError
from edgewright.lab.registry.state import BoardRecord
from edgewright.nouns.base import Noun

DEFAULT_SUITE = "bookworm"
SUITES = ("bullseye", "bookworm", "trixie", "forky")  # Python 3.9, 3.11, 3.13 and 3.14
EMULATORS_PACKAGE = "qemu-system-arm"  # Debian has those of both in one package


class Kernel(Noun, frozen=True, kw_only=True):
    """A kernel of a fully emulated machine.

    Attributes:
        name: what `--kernel` takes.
        debian: Debian's name for its architecture.
        package: the Debian package.
        emulator: the program that emulates its machine.
        cpu: the CPU of that machine, by qemu's name.
        modules: the kernel modules that the machine needs; each is loaded after its dependencies.
    """

    name: str
    debian: str
    package: str
    emulator: str
    cpu: str
    modules: tuple[str, ...]


class Architecture(Noun, frozen=True, kw_only=True):
    """An architecture of boards.

    Attributes:
        name: what `--arch` takes.
        aliases: other words for it that `--arch` takes.
        machine: what `uname -m` prints on a board that has no separate kernel.
        debian: Debian's name for it.
        suites: the Debian suites that have it.
        elf_class, elf_machine: these fields in the header of its programs, by which the kernel recognises them.
        emulators: qemu's user-mode emulators, best first.
        cpu: the CPU that they emulate, by qemu's name.
        cpuinfo: what `/proc/cpuinfo` has for each CPU, with the field `number`.
        board_info: what follows it there, with the fields `serial` and `model`.
        midr: the main ID register of that CPU where its kernel shows it below `/sys`, or empty.
        kernels: the kernels that run its programs; the first is the default of `--vm`.
    """

    name: str
    aliases: tuple[str, ...]
    machine: str
    debian: str
    suites: tuple[str, ...] = SUITES
    elf_class: int
    elf_machine: int
    emulators: tuple[str, ...]
    cpu: str
    cpuinfo: str
    board_info: str = ""
    midr: str = ""
    kernels: tuple[Kernel, ...]

    def kernel(self, name: str) -> Kernel:
        """The kernel of that name, or the default if the name is empty.

        Raises:
            UsageError: it does not run this architecture's programs.
        """
        for kernel in self.kernels:
            if name in ("", kernel.name):
                return kernel
        raise UsageError(
            f"no such kernel of {self.name} boards: {name}",
            hint=f"known are {', '.join(kernel.name for kernel in self.kernels)}",
        )


class Emulation(Noun, frozen=True, kw_only=True):
    """What the boards of a lab emulate. `kernel` is None if they run on this machine's."""

    architecture: Architecture
    suite: str = DEFAULT_SUITE
    kernel: Kernel | None = None


_VIRTIO = ("virtio_mmio", "virtio_blk", "virtio_net", "virtio_rng", "sch_netem")
_KERNEL_64 = Kernel(
    name="arm64", debian="arm64", package="linux-image-cloud-arm64", emulator="qemu-system-aarch64",
    cpu="cortex-a72", modules=_VIRTIO,
)  # fmt: skip
_KERNEL_32 = Kernel(
    name="armv7l", debian="armhf", package="linux-image-armmp", emulator="qemu-system-arm",
    cpu="cortex-a7", modules=(*_VIRTIO, "crc32c_generic", "ext4"),  # ext4 asks for the first by name
)  # fmt: skip

ARM64 = Architecture(
    name="arm64",
    aliases=("aarch64",),
    machine="aarch64",
    debian="arm64",
    elf_class=2,
    elf_machine=0xB7,
    emulators=("qemu-aarch64-static", "qemu-aarch64"),
    cpu="cortex-a72",  # with `max`, qemu 7.2 computes wrong int8 results
    cpuinfo="""\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

""",
    midr="0x00000000410fd083",  # Cortex-A72 r0p3
    kernels=(_KERNEL_64,),
)
ARMV7L = Architecture(
    name="armv7l",
    aliases=("armhf",),
    machine="armv7l",
    debian="armhf",
    elf_class=1,
    elf_machine=0x28,
    emulators=("qemu-arm-static", "qemu-arm"),
    cpu="cortex-a7",  # a Raspberry Pi 2's, and the least of the Pi's CPUs that are not ARMv6; with `max`, uname says armv8l
    cpuinfo="""\
processor\t: {number}
model name\t: ARMv7 Processor rev 5 (v7l)
BogoMIPS\t: 38.40
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm
CPU implementer\t: 0x41
CPU architecture: 7
CPU variant\t: 0x0
CPU part\t: 0xc07
CPU revision\t: 5

""",
    board_info="Hardware\t: BCM2835\nRevision\t: 0000\nSerial\t\t: {serial}\nModel\t\t: {model}\n",
    kernels=(_KERNEL_64, _KERNEL_32),  # Raspberry Pi OS with 32 bits boots a 64-bit kernel where the CPU can
)
ARCHITECTURES = (ARM64, ARMV7L)


def names() -> str:
    """The names of all architectures, for a message."""
    return " or ".join(one.name for one in ARCHITECTURES)


def named(name: str) -> Architecture:
    """The architecture of that name or alias.

    Raises:
        UsageError: there is no such architecture.
    """
    for one in ARCHITECTURES:
        if name == one.name or name in one.aliases:
            return one
    raise UsageError(
        f"no such architecture of boards: {name}", hint=f"{names()}, or none for this machine's own"
    )


def emulation_of(board: BoardRecord) -> Emulation | None:
    """What a lab's board emulates, or None if it is a simulated board of this machine's own architecture."""
    if not board.suite:
        return None
    architecture = named(board.arch)
    kernel = architecture.kernel(board.kernel) if board.machine else None
    return Emulation(architecture=architecture, suite=board.suite, kernel=kernel)
