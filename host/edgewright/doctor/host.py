"""Inspects this machine: extras, Pythons, programs and toolchains."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from edgewright import __version__
from edgewright.compile.toolchains import environments, pythons
from edgewright.compile.toolchains.environments import Installed
from edgewright.compile.toolchains.pythons import Python
from edgewright.config import home
from edgewright.doctor.conditions import LOW_DISK
from edgewright.nouns.base import Noun
from edgewright.nouns.finding import Finding

PROGRAMS = ("ssh", "sshd", "ssh-keygen", "openssl")
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # where sshd is, often outside of PATH


class Extra(Noun, frozen=True, kw_only=True):
    """An extra of this distribution. `packages`: name -> installed version, empty where it is missing."""

    name: str
    packages: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether all of it is installed."""
        return all(self.packages.values())


class HostState(Noun, frozen=True, kw_only=True):
    """This machine. `broken`: name of a toolchain -> why it does not import."""

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
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing stops a conversion or a deployment."""
        return all(finding.level != "problem" for finding in self.findings)


def look() -> HostState:
    """Looks, and imports what each installed toolchain is for. Changes nothing."""
    extras = _extras()
    programs = {name: _program(name) for name in PROGRAMS}
    installed = tuple(environments.listing())
    broken = {
        one.name: wrong for one in installed if one.state != "absent" and (wrong := environments.probe(one.name))
    }  # fmt: skip
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
        findings=tuple(_findings(extras, programs, installed, broken, free)),
    )


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
    """What this distribution's metadata name, without its development tools."""
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
    """Where a program is, empty when it is nowhere."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
    return shutil.which(name, path=path) or ""


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)
