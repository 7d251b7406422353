"""Inspects this machine: extras, Pythons, programs and toolchains."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from edgewright import __version__
from edgewright.compile.toolchains import environments, pythons
from edgewright.compile.toolchains.environments import Installed
from edgewright.compile.toolchains.pythons import Python
from edgewright.compile.workers import pool
from edgewright.compile.workers.confinement import rules
from edgewright.compile.workers.confinement.confine import InForce
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.doctor.conditions import LOW_DISK
from edgewright.nouns.base import Noun
from edgewright.nouns.finding import Finding

PROGRAMS = ("ssh", "sshd", "ssh-keygen", "openssl")
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # where sshd is, often not on PATH


class Extra(Noun, frozen=True, kw_only=True):
    """An extra of this distribution. `packages`: name -> installed version, empty if missing."""

    name: str
    packages: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether all of its packages are installed."""
        return all(self.packages.values())


class Readable(Noun, frozen=True, kw_only=True):
    """What confined workers may read for one reason.

    Attributes:
        what: `system`, `python` (with its packages), `stores` (artifacts and evaluation sets), `toolchains`, `EDGEWRIGHT_READABLE`.
        paths: everything below them is included.
    """

    what: str
    paths: tuple[str, ...]


class HostState(Noun, frozen=True, kw_only=True):
    """The state of this machine.

    Attributes:
        broken: name of a toolchain -> why it does not import.
        confinement: what holds workers that open models.
        readable: what these workers may read, besides the model and the data of their command; empty if nothing confines files.
    """

    edgewright: str
    python: str
    machine: str
    cpus: int
    memory_mb: int
    home: Path
    disk_free_bytes: int
    extras: tuple[Extra, ...]
    pythons: tuple[Python, ...]
    programs: dict[str, str]
    toolchains: tuple[Installed, ...]
    broken: dict[str, str]
    confinement: InForce
    readable: tuple[Readable, ...] = ()
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing blocks a conversion or a deployment."""
        return all(finding.level != "problem" for finding in self.findings)


def look() -> HostState:
    """Inspects this machine, imports each installed toolchain's main module, and starts a worker. Changes nothing."""
    extras = _extras()
    programs = {name: _program(name) for name in PROGRAMS}
    installed = tuple(environments.listing())
    broken = {
        one.name: wrong for one in installed if one.state != "absent" and (wrong := environments.probe(one.name))
    }  # fmt: skip
    held, readable = confinement()
    free = shutil.disk_usage(_existing(home.home())).free
    return HostState(
        edgewright=__version__,
        python=platform.python_version(),
        machine=platform.machine(),
        cpus=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        home=home.home(),
        disk_free_bytes=free,
        extras=extras,
        pythons=tuple(pythons.found()),
        programs=programs,
        toolchains=installed,
        broken=broken,
        confinement=held,
        readable=readable,
        findings=(*_findings(extras, programs, installed, broken, free), *_unheld(held)),
    )


def confinement() -> tuple[InForce, tuple[Readable, ...]]:
    """What holds a worker that opens models, and what it may read: one is started, asked, and ended."""
    with tempfile.TemporaryDirectory() as place, Workers(Path(place) / "log") as workers:
        every = workers.call(
            "confinement", rules.__name__, "of_every_worker", home=os.environ.get("HOME", "")
        )
        held = workers.in_force["confinement"]
    if not held.files:
        return held, ()
    *stores, toolchains = pool.stores()
    own = {"stores": stores, "toolchains": dict.fromkeys((toolchains, *pool.toolchains()))}
    return held, tuple(
        Readable(what=what, paths=tuple(map(str, paths))) for what, paths in (every | own).items()
    )


def _unheld(held: InForce) -> list[Finding]:
    """Advice for each part of the confinement that is not in force."""
    lacks = [
        (held.files, "read and write this user's files", "Landlock (Linux 5.19) and user namespaces"),
        (held.network, "reach the network", "seccomp and network namespaces"),
    ]  # fmt: skip
    hint = "convert models by strangers in a container or a virtual machine"
    return [
        Finding(level="advice", message=f"a hostile model could {what}: this machine lacks {layers}", hint=hint)
        for held_by, what, layers in lacks
        if not held_by
    ]  # fmt: skip


def _findings(
    extras: tuple[Extra, ...],
    programs: dict[str, str],
    installed: tuple[Installed, ...],
    broken: dict[str, str],
    free: int,
) -> list[Finding]:
    found: list[Finding] = []
    for extra in extras:
        missing = [name for name, version in extra.packages.items() if not version]
        if missing:
            found.append(Finding(level="advice", message=f"extra {extra.name} lacks {', '.join(missing)}",
                                 hint=f"pip install 'edgewright[{extra.name}]'"))  # fmt: skip
    for one in installed:
        hint = f"edgewright toolchain remove {one.name}; edgewright toolchain install {one.name}"
        if one.name in broken:
            found.append(Finding(level="problem", message=f"toolchain {one.name} does not import: {broken[one.name]}",
                                 hint=hint))  # fmt: skip
        elif one.state == "outdated":
            found.append(Finding(level="advice", message=f"toolchain {one.name} holds other versions than today's",
                                 hint=f"edgewright toolchain install {one.name}"))  # fmt: skip
    if not programs["sshd"]:
        found.append(Finding(level="advice", message="there is no sshd: simulated boards get a built-in server",
                             hint="install the system's OpenSSH server"))  # fmt: skip
    if free < LOW_DISK:
        found.append(Finding(level="advice", message=f"little space is free: {free >> 20} MiB",
                             hint="move EDGEWRIGHT_HOME, or make room"))  # fmt: skip
    return found


def _extras() -> tuple[Extra, ...]:
    """The extras in this distribution's metadata, except those for development."""
    packages: dict[str, dict[str, str]] = {}
    for text in metadata.requires("edgewright") or []:
        requirement = Requirement(text)
        for extra in metadata.metadata("edgewright").get_all("Provides-Extra") or []:
            named = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
            if extra in ("dev", "all") or not named or not requirement.marker.evaluate({"extra": extra}):  # type: ignore[union-attr]
                continue
            packages.setdefault(extra, {})[requirement.name] = _version(requirement.name)
    return tuple(Extra(name=name, packages=held) for name, held in packages.items())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _program(name: str) -> str:
    """The path of a program; empty if it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
    return shutil.which(name, path=path) or ""


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)
