"""Plans a bundle: the wheels that each target and kind of board would get."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from edgewright import targets
from edgewright.errors import Code, EdgewrightError, UsageError
from edgewright.nouns.base import Noun
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.nouns.target import RuntimeRow, Target
from edgewright.runtimes import compatibility, wheels
from edgewright.runtimes.wheel_sets import Kit
from edgewright.runtimes.wheel_tags import WheelHost
from edgewright.runtimes.wheels import Wheel

# glibc of the oldest common system with that Python version; wheels for it run on every newer system: Ubuntu 18.04, Buster,
# Ubuntu 20.04, Bullseye, Ubuntu 22.04, Bookworm, Ubuntu 24.04, Trixie
GLIBC = {
    "3.6": "2.27",
    "3.7": "2.28",
    "3.8": "2.31",
    "3.9": "2.31",
    "3.10": "2.35",
    "3.11": "2.36",
    "3.12": "2.39",
}
NEWEST_GLIBC = "2.41"


def host_of(target: Target, python: str, arch: str, glibc: str) -> WheelHost:
    """A kind of board, as the resolver sees it for a target."""
    return WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc).for_target(target)


class Wanted(Noun, frozen=True, kw_only=True):
    """A runtime for a kind of board, to be put into a bundle."""

    target: str
    row: RuntimeRow
    python: str
    arch: str
    glibc: str

    @property
    def title(self) -> str:
        """A description for people."""
        return f"{self.row.distribution} {self.row.version} for Python {self.python} on {self.arch}"

    @property
    def host(self) -> WheelHost:
        """The kind of board, as the resolver sees it."""
        return host_of(targets.load(self.target), self.python, self.arch, self.glibc)


class Missing(Noun, frozen=True, kw_only=True):
    """A target and a kind of board for which there is no wheel, with the reason."""

    target: str
    python: str
    arch: str
    message: str
    hint: str


class Plan(Noun, frozen=True, kw_only=True):
    """The contents of a bundle to be made, and the combinations without wheels."""

    wanted: tuple[Wanted, ...]
    missing: tuple[Missing, ...]


def plan(
    profile: Profile,
    *,
    pythons: Sequence[str] = (),
    archs: Sequence[str] = (),
    names: Sequence[str] = (),
    glibc: str | None = None,
    version: str | None = None,
) -> Plan:
    """The runtimes for boards of a profile.

    Args:
        pythons: such as `3.11`; by default the profile's.
        archs: by default the profile's.
        names: targets; by default the profile's targets that have wheels.
        glibc: of the boards; by default that of the oldest common system with such a Python.
        version: of the runtime, if one target is named.

    Raises:
        UsageError: an invalid version.
        EdgewrightError: `no-wheel`, there are no wheels for any combination.
    """
    check(pythons, archs, glibc)
    found = [
        one_of(name, python, arch, glibc or GLIBC.get(python, NEWEST_GLIBC), version)
        for name in names or [one for one in profile.targets if targets.load(one).runtimes]
        for arch in archs or profile.architectures
        for python in pythons or profile.pythons
    ]
    wanted = tuple(one for one in found if isinstance(one, Wanted))
    missing = tuple(one for one in found if isinstance(one, Missing))
    if not wanted:
        first = missing[0] if missing else None
        raise EdgewrightError(
            first.message if first else f"no target of {profile.name} has wheels",
            hint=first.hint if first else "it is part of the board's system",
            code=Code.NO_WHEEL,
        )
    return Plan(wanted=wanted, missing=missing)


def check(pythons: Iterable[str], archs: Iterable[str], glibc: str | None) -> None:
    """Raises UsageError for an invalid version or architecture."""
    for python in pythons:
        if not re.fullmatch(r"3\.[0-9]{1,2}", python):
            raise UsageError(f"not a version of Python: {python}", hint="such as --python 3.11")
    for arch in archs:
        if not re.fullmatch(r"[a-z0-9_]{2,20}", arch):
            raise UsageError(f"not an architecture: {arch}", hint="such as --arch aarch64 or --arch armv7l")
    if glibc is not None and not re.fullmatch(r"2\.[0-9]{1,2}", glibc):
        raise UsageError(
            f"not a version of glibc: {glibc}", hint="such as --glibc 2.36: `ldd --version` on the board"
        )


def one_of(name: str, python: str, arch: str, glibc: str, version: str | None) -> Wanted | Missing:
    """The runtime that one kind of board gets for a target."""
    target = targets.load(name)
    host = host_of(target, python, arch, glibc)
    try:
        row = compatibility.choose(target, host, version, {})
    except EdgewrightError as error:
        return Missing(target=name, python=python, arch=arch, message=error.message, hint=error.hint)
    row = replace(row, version=version or row.version)
    return Wanted(target=name, row=row, python=python, arch=arch, glibc=glibc)


def fetch(wanted: Sequence[Wanted], progress: Progress = silent) -> tuple[list[Kit], list[Wheel]]:
    """Fetches the kits and all of their wheels into the store; files fetched by an interrupted run are reused.

    Raises:
        EdgewrightError: `no-wheel`, `index-unreachable`.
    """
    kits, fetched = [], []
    for one in wanted:
        progress(ProgressEvent(stage="resolve", detail=one.title))
        asked = [f"{one.row.distribution}=={one.row.version}", *one.row.requires]
        found = wheels.resolve(one.host, asked, one.row.parts)
        fetched += found
        kits.append(
            Kit(
                target=one.target,
                distribution=one.row.distribution,
                version=one.row.version,
                python=one.python,
                arch=one.arch,
                glibc=one.glibc,
                own=one.row.own,
                wheels={wheel.file: wheel.sha256 for wheel in found},
            )
        )
    return kits, fetched
