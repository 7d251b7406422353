"""Programs in an emulated arm64 userland, without a server: as much of a board as a runner sees."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import needs

from edgewright.connect.agent import runner_package
from edgewright.lab.emulation import isolation, userland, userland_board
from edgewright.nouns.target import RuntimeRow
from edgewright.runtimes import wheels
from edgewright.runtimes.wheel_tags import WheelHost

PYTHONS = {  # each suite's Python, and its C library, which decides which wheels fit
    "bullseye": ("3.9", "2.31"),
    "bookworm": ("3.11", "2.36"),
    "trixie": ("3.13", "2.41"),
    "forky": ("3.14", "2.43"),
}
ARCH = "aarch64"
RUNTIME = "runtime"  # the folder of a job that is on the import path


class Emulated:
    """A board's file tree. The files of `shared` are there at the same paths.

    Args:
        folder: the board's folder on this machine.
    """

    def __init__(self, folder: Path, suite: str) -> None:
        needs.tool("qemu-aarch64-static", "apt-get", "dpkg-deb")
        self.shared = folder / "home"
        self.shared.mkdir(parents=True)
        isolation.write_accounts(folder)
        userland_board.dress(folder, userland.ready(suite).root, None, "0" * 16)
        self._script = userland_board.script(folder, name=suite, emulator=userland_board.qemu())

    def run(self, *program: str, cpu: str = userland_board.CPU, timeout: float = 400) -> str:
        """The output of an arm64 program, which must succeed."""
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
    """Writes a target's runner, and what is packed with it, beside the runtime in a folder, as boards get them; returns the runner's path."""
    for file, text in json.loads(runner_package.package(name).data).items():
        (place / RUNTIME / file).parent.mkdir(parents=True, exist_ok=True)
        (place / RUNTIME / file).write_text(text)
    return str(place / RUNTIME / runner_package.PACKAGE / name / "runner.py")


def unpack(debian: str, row: RuntimeRow, into: Path, arch: str = ARCH) -> str:
    """Unpacks the wheels of a runtime for a suite's Python, as an agent does; returns the folder."""
    python, glibc = PYTHONS[debian]
    host = WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc)
    own = [] if any(one.startswith("numpy") for one in row.requires) else ["numpy"]  # the suite needs it
    for wheel in wheels.resolve(host, [f"{row.distribution}=={row.version}", *row.requires, *own]):
        with zipfile.ZipFile(wheel.path) as archive:
            archive.extractall(into)
    return str(into)
