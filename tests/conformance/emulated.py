"""Programs in an emulated userland, without a server: as much of a board as a runner sees."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import needs
from packaging.requirements import Requirement

from edgewright import targets
from edgewright.connect.agent import runner_package
from edgewright.lab.emulation import isolation, userland, userland_board
from edgewright.lab.emulation.architectures import Architecture, Emulation
from edgewright.nouns.target import RuntimeRow
from edgewright.runtimes import wheels
from edgewright.runtimes.wheel_tags import WheelHost

PYTHONS = {  # each suite's Python, and its C library, which decides which wheels fit
    "bullseye": ("3.9", "2.31"),
    "bookworm": ("3.11", "2.36"),
    "trixie": ("3.13", "2.41"),
    "forky": ("3.14", "2.43"),
}
NO_NUMPY = ("armv7l",)  # no index has wheels of it, so the userland's own is used: the checks compare with it
NUMPY = "python3-numpy"
OWN_NUMPY = {"bullseye": "1.19.5", "bookworm": "1.24.2"}  # its version, on Pythons that a runtime takes it on
# Debian links these when it installs a package; nothing is run here
LINKS = {"libblas.so.3": "blas/libblas.so.3", "liblapack.so.3": "lapack/liblapack.so.3"}
RUNTIME = "runtime"  # the folder of a job that is on the import path


class Emulated:
    """A board's file tree. The files of `shared` are there at the same paths.

    Args:
        folder: the board's folder on this machine.
    """

    def __init__(self, folder: Path, architecture: Architecture, suite: str) -> None:
        needs.tool(architecture.emulators[0], "apt-get", "dpkg-deb")
        self.architecture = architecture
        self.shared = folder / "home"
        self.shared.mkdir(parents=True)
        isolation.write_accounts(folder)
        own = architecture.machine in NO_NUMPY
        image = userland.ready(
            Emulation(architecture=architecture, suite=suite), more=(NUMPY,) if own else ()
        )
        userland_board.dress(folder, image.root, architecture, None, "0" * 16)
        if own:
            _link(image.root, folder / "upper")
        self._script = userland_board.script(folder, architecture, name=suite)

    def run(self, *program: str, cpu: str = "", timeout: float = 400) -> str:
        """The output of a program, which must succeed."""
        environment = {"PATH": isolation.PATH, **userland_board.environment(self.architecture)}
        if cpu:
            environment["QEMU_CPU"] = cpu
        done = subprocess.run(
            isolation.command(self._script, *program), env=environment,
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, (
            f"exit code {done.returncode}: {done.stdout[-500:]} {done.stderr[-2000:]}"
        )
        return done.stdout

    def python(self, program: str, job: str, cpu: str = "") -> str:
        """The output of a Python program that takes a job; it sees the userland's numpy where there are no wheels of it."""
        alone = () if self.architecture.machine in NO_NUMPY else ("-S",)
        return self.run("/usr/bin/python3", "-I", *alone, "-B", program, job, cpu=cpu)


def _link(image: Path, layer: Path) -> None:
    (libraries,) = [path.parent for path in image.glob("usr/lib/*/blas")]
    folder = layer / libraries.relative_to(image)
    folder.mkdir(parents=True)
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)


def fits(row: RuntimeRow, debian: str) -> bool:
    """Whether a suite's own numpy is one that a runtime takes."""
    return all(Requirement(one).specifier.contains(OWN_NUMPY[debian]) for one in row.own)


def runner_in(place: Path, name: str) -> str:
    """Writes a target's runner, and what is packed with it, beside the runtime in a folder, as boards get them; returns the runner's path."""
    for file, text in json.loads(runner_package.package(name).data).items():
        (place / RUNTIME / file).parent.mkdir(parents=True, exist_ok=True)
        (place / RUNTIME / file).write_text(text)
    return str(place / RUNTIME / runner_package.PACKAGE / name / "runner.py")


def unpack(debian: str, name: str, row: RuntimeRow, into: Path, arch: str) -> str:
    """Unpacks the wheels of a target's runtime for a suite's Python, as an agent does; returns the folder."""
    python, glibc = PYTHONS[debian]
    host = WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc)
    has = arch in NO_NUMPY or any(one.startswith("numpy") for one in row.requires)
    asked = [f"{row.distribution}=={row.version}", *row.requires]
    found = wheels.resolve(host.for_target(targets.load(name)), asked, row.parts)
    found += [] if has else wheels.resolve(host, ["numpy"])  # the suite needs it
    for wheel in found:
        with zipfile.ZipFile(wheel.path) as archive:
            archive.extractall(into)
    return str(into)
