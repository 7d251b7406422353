"""Kits: a runtime with all of its wheels for one kind of board, in a bundle or in the store of wheels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from edgewright.config import home, usage_marks
from edgewright.errors import Code, EdgewrightError
from edgewright.files import write_atomic
from edgewright.nouns.base import Noun
from edgewright.nouns.target import RuntimeRow, Target, numbers
from edgewright.runtimes import wheels
from edgewright.runtimes.wheel_tags import WheelHost, parse
from edgewright.runtimes.wheels import Wheel

PREFIX = "kit-"  # of the kits' files among the wheels


class Kit(Noun, frozen=True, kw_only=True):
    """One runtime for one kind of board.

    Attributes:
        target, distribution, version: the runtime.
        python, arch, glibc: the kind of board that it was resolved for, such as `3.11`, `aarch64`, `2.36`.
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
        """A description for people."""
        return f"{self.distribution} {self.version} for Python {self.python} on {self.arch}"

    def runs_on(self, host: WheelHost) -> bool:
        """Whether the board accepts every wheel."""
        return all(tags_of(file) & host.tags for file in self.wheels)


def tags_of(file: str) -> frozenset[object]:
    """The tags in a wheel's file name; none if it is not a valid one."""
    from packaging.utils import InvalidWheelFilename

    try:
        return frozenset(parse(file)[3])
    except InvalidWheelFilename:
        return frozenset()


def keep(kits: Iterable[Kit]) -> None:
    """Records kits whose wheels are in the store, so that a host without internet finds them."""
    folder = home.folder("wheels")
    for kit in kits:
        text = msgspec.json.format(msgspec.json.encode(kit, order="sorted")).decode("utf-8")
        name = hashlib.sha256(text.encode("utf-8")).hexdigest()
        write_atomic(folder / f"{PREFIX}{name}.json", text)


def kept() -> list[Kit]:
    """The kits recorded on this machine; unreadable records are skipped."""
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
    """The kits of a target that run on a board and can read what the artifact needs, newest first."""
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
    """A kit as a row of its target."""
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
    """The wheels of a kit from the store, with verified bytes; None if one is missing or damaged."""
    folder = home.folder("wheels")
    found = []
    for file, sha256 in sorted(kit.wheels.items()):
        place = folder / sha256
        try:
            wheel = wheels.describe(place / file)
        except EdgewrightError:
            return None
        if wheel.sha256 != sha256 or not usage_marks.hold(place):
            return None
        found.append(wheel)
    return found


def none_fits(kits: Sequence[Kit], target: Target, host: WheelHost, where: str) -> EdgewrightError:
    """The error for a bundle without anything that fits a board."""
    own = [kit for kit in kits if kit.target == target.name]
    has = ", ".join(f"{kit.title} with glibc {kit.glibc}" for kit in own)
    has = has or "runtimes of " + ", ".join(sorted({kit.target for kit in kits}))
    return EdgewrightError(
        f"the bundle {where} has no {target.title} for {host.title}",
        hint=f"it has {has}; write one for this board where there is internet",
        code=Code.NO_WHEEL,
    )
