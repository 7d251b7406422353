"""Programs in an emulated arm64 userland, without a server: as much of a board as a runner sees."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import needs

from edgewright import targets
from edgewright.connect.agent.annotations import without_annotations
from edgewright.lab.emulation import isolation, userland, userland_board
from edgewright.nouns.target import RuntimeRow
from edgewright.runtimes import wheels
from edgewright.runtimes.wheel_tags import WheelHost

PYTHONS = {  # what each suite has: Python, and the C library that decides about wheels
    "bullseye": ("3.9", "2.31"),
    "bookworm": ("3.11", "2.36"),
    "trixie": ("3.13", "2.41"),
    "forky": ("3.14", "2.43"),
}
ARCH = "aarch64"


class Emulated:
    """One board's view of the world. What lies in `shared` is there at the same path.

    Args:
        folder: of the board, on this machine.
    """

    def __init__(self, folder: Path, suite: str) -> None:
        needs.tool("qemu-aarch64-static", "apt-get", "dpkg-deb")
        self.shared = folder / "home"
        self.shared.mkdir(parents=True)
        isolation.write_accounts(folder)
        userland_board.dress(folder, userland.ready(suite).root, None, "0" * 16)
        self._script = userland_board.script(folder, name=suite, emulator=userland_board.qemu())

    def run(self, *program: str, cpu: str = userland_board.CPU, timeout: float = 400) -> str:
        """What an arm64 program prints; it must end well."""
        environment = {"PATH": isolation.PATH, **userland_board.environment(), "QEMU_CPU": cpu}
        done = subprocess.run(
            isolation.command(self._script, *program), env=environment,
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, (
            f"exit code {done.returncode}: {done.stdout[-500:]} {done.stderr[-2000:]}"
        )
        return done.stdout


def runner_in(place: Path, name: str) -> str:
    """The path of a target's runner in a folder, as boards get it: without what only type checkers read."""
    path = place / "runner.py"
    path.write_text(without_annotations((targets.folder(name) / "runner.py").read_text()))
    return str(path)


def unpack(debian: str, row: RuntimeRow, into: Path, arch: str = ARCH) -> str:
    """The wheels of a runtime for a suite's Python, as an agent unpacks them. The folder."""
    python, glibc = PYTHONS[debian]
    host = WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc)
    for wheel in wheels.resolve(host, [f"{row.distribution}=={row.version}", *row.requires]):
        with zipfile.ZipFile(wheel.path) as archive:
            archive.extractall(into)
    return str(into)
