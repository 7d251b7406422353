"""An emulated board: a userland of another architecture under qemu's user-mode emulation, in its own namespaces, without root.

The kernel is this machine's: it runs each program of the board through qemu, which is registered in the board's own user
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
from edgewright.lab.emulation.architectures import Architecture
from edgewright.lab.registry.state import LabError
from edgewright.nouns.profile import Profile

PREFIX = "/emulated"
LEAST_KERNEL = (6, 7)


def qemu(architecture: Architecture) -> str:
    """The absolute path of qemu's user-mode emulator for an architecture.

    Raises:
        LabError: there is none, or this kernel is too old to register it without root.
    """
    kernel = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if kernel < LEAST_KERNEL:
        raise LabError(
            f"this kernel cannot run {architecture.name} programs for one user alone: {os.uname().release}, needed is 6.7",
            hint=f"take a whole emulated machine instead: `edgewright lab up --arch {architecture.name} --vm`",
            code=Code.KERNEL_TOO_OLD,
        )
    for name in architecture.emulators:
        if found := shutil.which(name):
            return str(Path(found).absolute())
    raise LabError(
        f"{architecture.name} boards need qemu's user-mode emulator",
        hint="install it: `sudo apt-get install qemu-user-static`",
        code=Code.TOOL_MISSING,
    )


def possible(architecture: Architecture) -> None:
    """Checks that this machine can run emulated boards, before anything is downloaded for one.

    Raises:
        LabError: a tool is missing, the kernel is too old, or users may not create namespaces.
    """
    qemu(architecture)
    if shutil.which("unshare", path=isolation.PATH) is None:
        raise LabError(
            f"{architecture.name} boards need unshare",
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


def dress(
    folder: Path, image: Path, architecture: Architecture, profile: Profile | None, serial: str
) -> None:
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
    model = (
        profile.models[0].rstrip("*") if profile and profile.models else f"Emulated {architecture.name} board"
    )
    (tree / "model").write_bytes(model.encode() + b"\0")
    (tree / "serial-number").write_bytes(serial.encode() + b"\0")
    count = os.cpu_count() or 1
    cpus = "".join(architecture.cpuinfo.format(number=number) for number in range(count))
    (hardware / "proc/cpuinfo").write_text(cpus + architecture.board_info.format(serial=serial, model=model))
    _cpu_tree(folder / "upper/sys/devices/system/cpu", count, architecture.midr)
    for name in ("passwd", "group"):
        etc = folder / "upper/etc"
        etc.mkdir(exist_ok=True)
        shutil.copyfile(folder / name, etc / name)


def _cpu_tree(root: Path, count: int, midr: str) -> None:
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
        }
        if midr:
            values["regs/identification/midr_el1"] = midr
        for name, value in values.items():
            path = root / f"cpu{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")


def environment(architecture: Architecture) -> dict[str, str]:
    """The environment variables that qemu reads in every process of the board."""
    return {"QEMU_CPU": architecture.cpu, "QEMU_LD_PREFIX": PREFIX}


def _registration(architecture: Architecture, emulator: str) -> str:
    """The line that makes the kernel run an architecture's programs through an emulator (see its binfmt_misc).

    It recognises the header of little-endian ELF files, both executables (2) and shared objects (3).
    """
    magic = bytes((0x7F, *b"ELF", architecture.elf_class, 1, 1, *[0] * 9, 2, 0, architecture.elf_machine, 0))
    mask = bytes((*[0xFF] * 7, 0, *[0xFF] * 8, 0xFE, *[0xFF] * 3))
    header, significant = ("".join(f"\\x{byte:02x}" for byte in one) for one in (magic, mask))
    return f":{Path(emulator).name}:M::{header}:{significant}:{emulator}:F"


def script(folder: Path, architecture: Architecture, *, name: str) -> str:
    """The shell script that sets up the board's environment and runs its arguments in it.

    Args:
        folder: the board's folder; seen at the same path inside.
        name: the board's host name.
    """
    inside = f"merged{quote(str(folder))}"
    entry = _registration(architecture, qemu(architecture))
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


def check(folder: Path, architecture: Architecture) -> None:
    """Runs one program in a prepared board's folder. Raises LabError with the reason if that fails."""
    text = script(folder, architecture, name="board")
    done = _run(isolation.command(text, "/usr/bin/uname", "-m"), **environment(architecture))
    if done.returncode or done.stdout.strip() != architecture.machine.encode():
        raise LabError(
            f"this machine does not let its users run {architecture.name} programs: {_last(done.stderr)}",
            hint="unprivileged user namespaces may be off; a whole machine needs none: `--vm`",
            code=Code.NO_EMULATION,
        )


def _last(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _run(command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, env={"PATH": isolation.PATH, **environment}, capture_output=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(
            f"programs of another architecture do not run here: {error}",
            hint="`--vm` may",
            code=Code.NO_EMULATION,
        ) from None
