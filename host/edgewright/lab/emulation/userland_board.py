"""An emulated board: an arm64 userland under qemu's user-mode emulation, in its own namespaces, without root.

The kernel is this machine's: it runs each arm64 program through qemu, which is registered in the board's own user
namespace only (Linux 6.7 and newer), so nothing changes on this machine. The files that describe the board's
hardware are under `PREFIX` in the board: qemu looks there first for every file that a program opens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from edgewright.errors import Code
from edgewright.lab.emulation import isolation
from edgewright.lab.registry.state import LabError
from edgewright.nouns.profile import Profile

ARCH = "arm64"
CPU = "cortex-a72"  # with `max`, qemu 7.2 computes wrong int8 results
PREFIX = "/emulated"
QEMU = ("qemu-aarch64-static", "qemu-aarch64")
LEAST_KERNEL = (6, 7)
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
CPUINFO = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
MIDR = "0x00000000410fd083"  # the same CPU: Cortex-A72 r0p3


def qemu() -> str:
    """The absolute path of qemu's user-mode emulator for arm64.

    Raises:
        LabError: there is none, or this kernel is too old to register it without root.
    """
    kernel = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if kernel < LEAST_KERNEL:
        raise LabError(
            f"this kernel cannot run arm64 programs for one user alone: {os.uname().release}, needed is 6.7",
            hint="take a whole emulated machine instead: `edgewright lab up --arch arm64 --vm`",
            code=Code.KERNEL_TOO_OLD,
        )
    for name in QEMU:
        if found := shutil.which(name):
            return str(Path(found).absolute())
    raise LabError(
        "arm64 boards need qemu's user-mode emulator",
        hint="install it: `sudo apt-get install qemu-user-static`",
        code=Code.TOOL_MISSING,
    )


def possible() -> None:
    """Checks that this machine can run emulated boards, before anything is downloaded for one.

    Raises:
        LabError: a tool is missing, the kernel is too old, or users may not create namespaces.
    """
    qemu()
    if shutil.which("unshare", path=isolation.PATH) is None:
        raise LabError(
            "arm64 boards need unshare",
            hint="install it: `sudo apt-get install util-linux`",
            code=Code.TOOL_MISSING,
        )
    inner = f"exec unshare --user --map-user={isolation.UID} --map-group={isolation.UID} -- true"
    done = _run(isolation.command(inner))
    if done.returncode:
        raise LabError(
            f"this machine does not let its users make namespaces: {_last(done.stderr)}",
            hint="see /proc/sys/user/max_user_namespaces, kernel.unprivileged_userns_clone and "
            "kernel.apparmor_restrict_unprivileged_userns; a whole machine needs none: `--vm`",
            code=Code.NO_EMULATION,
        )


def dress(folder: Path, image: Path, profile: Profile | None, serial: str) -> None:
    """Prepares a board's folder: the layer over the userland, and the files that describe its hardware.

    Args:
        folder: the board's folder on this machine; `home` in it is the board's home.
        image: the userland's root.
    """
    for name in ("upper", "work", "merged", "binfmt"):
        (folder / name).mkdir(exist_ok=True)
    link = folder / "image"
    link.unlink(missing_ok=True)
    link.symlink_to(image)  # keeps special characters of the path out of the mount options
    hardware = folder / "upper" / PREFIX.lstrip("/")
    tree = hardware / "proc/device-tree"
    tree.mkdir(parents=True, exist_ok=True)
    model = profile.models[0].rstrip("*") if profile and profile.models else "Emulated arm64 board"
    (tree / "model").write_bytes(model.encode() + b"\0")
    (tree / "serial-number").write_bytes(serial.encode() + b"\0")
    count = os.cpu_count() or 1
    (hardware / "proc/cpuinfo").write_text("".join(CPUINFO.format(number=number) for number in range(count)))
    _cpu_tree(folder / "upper/sys/devices/system/cpu", count)
    for name in ("passwd", "group"):
        etc = folder / "upper/etc"
        etc.mkdir(exist_ok=True)
        shutil.copyfile(folder / name, etc / name)


def _cpu_tree(root: Path, count: int) -> None:
    """The kernel's description of the CPUs; OpenVINO crashes without it."""
    for name in ("present", "possible", "online"):
        root.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"0-{count - 1}\n" if count > 1 else "0\n")
    every = f"{(1 << count) - 1:x}"
    for number in range(count):
        mine = f"{1 << number:x}"
        values = {
            "topology/core_id": str(number),
            "topology/physical_package_id": "0",
            "topology/core_cpus": mine,
            "topology/core_cpus_list": str(number),
            "topology/thread_siblings": mine,
            "topology/thread_siblings_list": str(number),
            "topology/package_cpus": every,
            "topology/core_siblings": every,
            "regs/identification/midr_el1": MIDR,
        }
        for name, value in values.items():
            path = root / f"cpu{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")


def environment() -> dict[str, str]:
    """The environment variables that qemu reads in every process of the board."""
    return {"QEMU_CPU": CPU, "QEMU_LD_PREFIX": PREFIX}


def script(folder: Path, *, name: str, emulator: str) -> str:
    """The shell script that sets up the board's environment and runs its arguments in it.

    Args:
        folder: the board's folder; seen at the same path inside.
        name: the board's host name.
        emulator: path of qemu on this machine.
    """
    inside = f"merged{quote(str(folder))}"
    entry = f":qemu-aarch64:M::{MAGIC}:{MASK}:{emulator}:F"
    lines = ["set -e", "umask 022", f"cd {quote(str(folder))}"]
    lines += ["mount -t overlay -o lowerdir=image,upperdir=upper,workdir=work,userxattr board merged"]
    lines += ["mount -t binfmt_misc binfmt_misc binfmt", f"printf %s {quote(entry)} > binfmt/register"]
    lines += [
        f"mkdir -p merged/home/{isolation.USER} merged/run/sshd merged/proc merged/dev merged/tmp {inside}"
    ]
    lines += ["chmod 1777 merged/tmp"]
    lines += [f"mount --rbind /{part} merged/{part}" for part in ("proc", "dev")]
    lines += [f"mount --bind . {inside}", f"mount --bind home merged/home/{isolation.USER}"]
    lines += [f"hostname {quote(name)} 2>/dev/null || :", f"root={quote(str(folder / 'merged'))}", "cd /"]
    # a second user namespace drops the capabilities that the mounts needed
    lines += [
        f"exec unshare --user --map-user={isolation.UID} --map-group={isolation.UID} "
        '--root="$root" --wd=/ -- "$@"'
    ]
    return "\n".join(lines)


def check(folder: Path, emulator: str) -> None:
    """Runs one arm64 program in a prepared board's folder. Raises LabError with the reason if that fails."""
    text = script(folder, name="board", emulator=emulator)
    done = _run(isolation.command(text, "/usr/bin/uname", "-m"))
    if done.returncode or done.stdout.strip() != b"aarch64":
        raise LabError(
            f"this machine does not let its users run arm64 programs: {_last(done.stderr)}",
            hint="unprivileged user namespaces may be off; a whole machine needs none: `--vm`",
            code=Code.NO_EMULATION,
        )


def _last(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, env={"PATH": isolation.PATH, **environment()}, capture_output=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(
            f"arm64 programs do not run here: {error}", hint="`--vm` may", code=Code.NO_EMULATION
        ) from None
