"""Kits: a runtime with all its wheels for one kind of board, in a bundle or in the store of wheels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from packaging.utils import InvalidWheelFilename

from edgewright.config import home, usage_marks
from edgewright.errors import Code, EdgewrightError
from edgewright.files import write_atomic
from edgewright.nouns.base import Noun
from edgewright.nouns.target import RuntimeRow, Target, numbers
from edgewright.runtimes import wheels as wheel_files
from edgewright.runtimes.wheel_tags import WheelHost, parse
from edgewright.runtimes.wheels import Wheel

PREFIX = "kit-"  # of the notes among the wheels


class Kit(Noun, frozen=True, kw_only=True):
    """One runtime for one kind of board.

    Attributes:
        target, distribution, version: what it is.
        python, arch, glibc: what it was resolved for, such as `3.11`, `aarch64`, `2.36`.
        own: what the board's own Python must have, as requirement specifiers.
        wheels: file name -> sha256.
    """

    target: str
    distribution: str
    version: str
    python: str
    arch: str
    glibc: str
    own: tuple[str, ...] = ()
    wheels: dict[str, str]

    @property
    def title(self) -> str:
        """For a person."""
        return f"{self.distribution} {self.version} for Python {self.python} on {self.arch}"

    def runs_on(self, host: WheelHost) -> bool:
        """Whether every wheel is one that the board takes."""
        return all(tags_of(file) & host.tags for file in self.wheels)


def tags_of(file: str) -> frozenset[object]:
    """The tags in a wheel's file name; none where it is not such a name."""
    try:
        return frozenset(parse(file)[3])
    except InvalidWheelFilename:
        return frozenset()


def keep(kits: Iterable[Kit]) -> None:
    """Notes kits whose wheels are in the store, so that a host without internet finds them."""
    folder = home.folder("wheels")
    for kit in kits:
        text = msgspec.json.format(msgspec.json.encode(kit, order="sorted")).decode("utf-8")
        name = hashlib.sha256(text.encode("utf-8")).hexdigest()
        write_atomic(folder / f"{PREFIX}{name}.json", text)


def kept() -> list[Kit]:
    """The kits that were noted here; what cannot be read is left out."""
    found = []
    for note in sorted(home.folder("wheels").glob(f"{PREFIX}*.json")):
        try:
            found.append(msgspec.json.decode(note.read_bytes(), type=Kit))
        except (OSError, msgspec.MsgspecError):
            continue
    return found


def fitting(
    kits: Iterable[Kit], target: Target, host: WheelHost, version: str | None, requires: Mapping[str, int]
) -> list[Kit]:
    """The kits of a target that run on a board and read what the artifact asks for, the newest first."""
    found = [
        kit
        for kit in kits
        if kit.target == target.name
        and version in (None, kit.version)
        and kit.runs_on(host)
        and not target.lacks(kit.distribution, kit.version, dict(requires))
    ]
    order = [row.distribution for row in target.runtimes]
    return sorted(
        found,
        key=lambda kit: (
            -order.index(kit.distribution) if kit.distribution in order else -99,
            numbers(kit.version),
        ),
        reverse=True,
    )


def row_of(kit: Kit, target: Target) -> RuntimeRow:
    """A kit as the row of its target that it would be."""
    return RuntimeRow(
        distribution=kit.distribution,
        version=kit.version,
        python=f"{kit.python}-{kit.python}",
        archs=(kit.arch,),
        glibc=kit.glibc,
        requires=(),
        own=kit.own,
        caps=target.caps_of(kit.distribution, kit.version),
    )


def stored(kit: Kit) -> list[Wheel] | None:
    """The wheels of a kit from the store, their bytes verified; None where one is gone or damaged."""
    folder = home.folder("wheels")
    found = []
    for file, sha256 in sorted(kit.wheels.items()):
        place = folder / sha256
        try:
            wheel = wheel_files.describe(place / file)
        except EdgewrightError:
            return None
        if wheel.sha256 != sha256 or not usage_marks.hold(place):
            return None
        found.append(wheel)
    return found


def none_fits(kits: Sequence[Kit], target: Target, host: WheelHost, where: str) -> EdgewrightError:
    """The error for a bundle that has nothing for a board."""
    own = [kit for kit in kits if kit.target == target.name]
    has = ", ".join(f"{kit.title} with glibc {kit.glibc}" for kit in own)
    has = has or "runtimes of " + ", ".join(sorted({kit.target for kit in kits}))
    return EdgewrightError(
        f"the bundle {where} has no {target.title} for {host.title}",
        hint=f"it has {has}; write one for this board where there is internet",
        code=Code.NO_WHEEL,
    )
