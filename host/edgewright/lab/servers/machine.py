"""An emulated machine: a kernel and a userland in one of qemu's system emulators, with a device tree that names a board.

All of its files are in its board's folder: a disk with the differences from the userland's disk, an initrd with its
keys, a device tree, a console log. Ending its process is like cutting its power.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from edgewright.errors import Code
from edgewright.lab.emulation import architectures, initrd, isolation
from edgewright.lab.emulation.architectures import Emulation, Kernel
from edgewright.lab.emulation.userland import Image
from edgewright.lab.registry import registration, state
from edgewright.lab.registry.state import BoardRecord, LabError
from edgewright.lab.servers import openssh
from edgewright.lab.servers.openssh import PortTakenError
from edgewright.nouns.profile import Profile

TOOLS = {
    "qemu-img": "qemu-utils",
    "fdtput": "device-tree-compiler",
    "mke2fs": "e2fsprogs",
}
CPUS = 2
MEMORY_MB = (512, 2048)  # least and most memory that a machine gets, whatever its profile states
DISK = "4G"  # sparse
START_SECONDS = 120.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def tools(kernel: Kernel) -> dict[str, str]:
    """The programs that an emulated machine needs, by name.

    Raises:
        LabError: one is missing; the hint says how to install it.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
    wanted = {kernel.emulator: architectures.EMULATORS_PACKAGE, **TOOLS}
    found = {tool: shutil.which(tool, path=path) for tool in wanted}
    missing = [wanted[tool] for tool, where in found.items() if where is None]
    if missing:
        raise LabError(
            f"an emulated machine needs {', '.join(tool for tool, where in found.items() if where is None)}",
            hint=f"install it: `sudo apt-get install {' '.join(missing)}`",
            code=Code.TOOL_MISSING,
        )
    return {tool: str(where) for tool, where in found.items()}


def kernel_of(emulation: Emulation) -> Kernel:
    """The machine's kernel. Raises LabError if the emulation has none."""
    if emulation.kernel is None:
        raise LabError("an emulated machine needs a kernel")
    return emulation.kernel


def make(folder: Path, image: Image, emulation: Emulation, profile: Profile | None, serial: str) -> None:
    """Prepares a board's disk and device tree. The userland's own disk is created once and shared."""
    kernel = kernel_of(emulation)
    used = tools(kernel)
    base = _base_disk(image, used["mke2fs"])
    disk = folder / "disk.qcow2"
    _run([used["qemu-img"], "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(disk)])
    tree = folder / "board.dtb"
    _run([*_hardware(used, kernel, profile), "-machine", f"dumpdtb={tree}", "-display", "none"])
    model = (
        profile.models[0].rstrip("*")
        if profile and profile.models
        else f"Emulated {emulation.architecture.name} board"
    )
    for key, value in (("model", model), ("serial-number", serial)):
        _run([used["fdtput"], "-t", "s", str(tree), "/", key, value])


def _base_disk(image: Image, mke2fs: str) -> Path:
    disk = image.root.with_name(f"{image.root.name}.ext4")
    if not disk.is_file():
        scratch = disk.with_suffix(f".{os.getpid()}")
        try:
            _run([mke2fs, "-q", "-t", "ext4", "-m", "0", "-d", str(image.root), str(scratch), DISK])
            scratch.replace(disk)
        finally:
            scratch.unlink(missing_ok=True)
    return disk


def _hardware(used: dict[str, str], kernel: Kernel, profile: Profile | None) -> list[str]:
    """The qemu command line for the machine, both for running it and for only describing it."""
    least, most = MEMORY_MB
    memory = min(max(profile.memory_mb if profile else least, least), most)
    return [
        used[kernel.emulator], "-nodefaults", "-M", "virt", "-cpu", kernel.cpu, "-smp", str(CPUS), "-m", str(memory),
    ]  # fmt: skip


def write_config(folder: Path, public: str) -> None:
    """Writes the configuration of the sshd inside."""
    inside = f"/{initrd.FOLDER}"
    lines = openssh.CONFIG.format(port=22, folder=inside, escaped=inside, environment="no")
    lines = lines.replace("ListenAddress 127.0.0.1:22", "ListenAddress 0.0.0.0:22")
    (folder / "sshd_config").write_text(lines)
    (folder / "authorized_keys").write_text(f"{public}\n")


def start(lab: str, board: BoardRecord, image: Image, emulation: Emulation, profile: Profile | None) -> int:
    """Boots the machine; returns once its sshd answers.

    Returns:
        The process id of its emulator.

    Raises:
        PortTakenError: another program has its port.
        LabError: it did not come up; the message quotes the end of its console log.
    """
    folder = state.board_folder(lab, board.name)
    kernel = kernel_of(emulation)
    used = tools(kernel)
    files = {
        name: (folder / name).read_bytes()
        for name in ("passwd", "group", "sshd_config", "authorized_keys", "host_key", "host_key.pub")
    }
    files["facts.json"] = (registration.root(lab, board) / "facts.json").read_bytes()
    data = initrd.build(image.root, kernel, files, name=board.name, user=isolation.USER, uid=isolation.UID)
    (folder / "initrd").write_bytes(data)
    binary = next(iter(sorted(image.root.glob("boot/vmlinuz-*"))))
    console, pid_file = folder / "console.log", folder / "server.pid"
    pid_file.unlink(missing_ok=True)
    command = [
        *_hardware(used, kernel, profile), "-dtb", str(folder / "board.dtb"), "-kernel", str(binary),
        "-initrd", str(folder / "initrd"), "-append", "console=ttyAMA0 quiet panic=-1", "-no-reboot",
        "-drive", f"if=none,id=disk,format=qcow2,file={_escaped(folder / 'disk.qcow2')}",
        "-device", "virtio-blk-device,drive=disk", "-device", "virtio-rng-device",
        "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:{registration.ADDRESS}:{board.port}-:22",
        "-device", "virtio-net-device,netdev=net", "-display", "none", "-monitor", "none",
        "-serial", f"file:{_escaped(console)}", "-pidfile", str(pid_file), "-daemonize",
    ]  # fmt: skip
    try:
        _run(command)
    except LabError as error:
        if "Could not set up host forwarding" in error.message:
            raise PortTakenError(board.name) from None
        raise
    _wait(board, console, pid_file)
    return int(pid_file.read_text())


def _escaped(path: Path) -> str:
    """A path escaped for one of qemu's option lists."""
    return str(path).replace(",", ",,")


def _wait(board: BoardRecord, console: Path, pid_file: Path) -> None:
    """Waits until the sshd inside sends its banner: qemu itself accepts connections from the start."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if not _runs(pid_file):
            break
        try:
            with socket.create_connection((registration.ADDRESS, board.port), timeout=3) as link:
                if link.recv(8).startswith(b"SSH-"):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise LabError(
        f"the emulated machine {board.name} did not come up: {openssh.last_line(console)}",
        hint=f"its console: {console}",
    )


def _runs(pid_file: Path) -> bool:
    try:
        return Path(f"/proc/{pid_file.read_text().strip()}").exists()
    except FileNotFoundError:  # the emulator removes it when it ends
        return False


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=300, check=False,
            stdin=subprocess.DEVNULL, env={"PATH": f"{os.environ.get('PATH', os.defpath)}:{SBIN}", "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{Path(command[0]).name} failed: {error}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"exit code {done.returncode}"]
        raise LabError(f"{Path(command[0]).name} failed: {said[-1]}")
