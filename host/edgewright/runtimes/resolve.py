"""Chooses a runtime for a board: from given files, from a bundle, or the best wheel of the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.target import RuntimeRow, Target
from edgewright.runtimes import compatibility, wheel_sets, wheels
from edgewright.runtimes.wheel_sets import Kit
from edgewright.runtimes.wheel_tags import WheelHost
from edgewright.runtimes.wheels import Wheel


class Offer(Noun, frozen=True, kw_only=True):
    """The contents of a bundle.

    Attributes:
        title: the bundle's name, for messages.
        inside: its wheels by file name, if it was only inspected; None if they are in the store.
    """

    title: str
    kits: tuple[Kit, ...]
    inside: Mapping[str, Wheel] | None = None


class Picked(Noun, frozen=True, kw_only=True):
    """A chosen runtime.

    Attributes:
        wheels: the wheels already on this machine; None for none yet.
        asked: what still has to be resolved, as requirement specifiers.
        bundled: it comes from a bundle.
    """

    row: RuntimeRow
    wheels: list[Wheel] | None = None
    asked: tuple[str, ...] = ()
    bundled: bool = False

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.row.distribution} {self.row.version}"


class Search:
    """Looks for the runtime of one target for one board.

    Args:
        version: require this version.
        requires: what the artifact needs from it.
    """

    def __init__(
        self, target: Target, host: WheelHost, version: str | None, requires: Mapping[str, int]
    ) -> None:
        self.target = target
        self.host = host.for_target(target)
        self.version = version
        self.requires = requires

    def given(self, files: Sequence[Path]) -> Picked:
        """The runtime among given wheel files; dependencies that are not among them have to be resolved."""
        main, others = split(wheels.given(self.host, files), self.target)
        have = {wheel.distribution for wheel in others}
        like = self.like(main.distribution)
        requires = self.target.requirements if like is None else like.requires
        row = RuntimeRow(
            distribution=main.distribution,
            version=main.version,
            python=self.host.python,
            archs=(self.host.arch,),
            glibc="",
            requires=(),
            own=() if like is None or "numpy" in have else like.own,
        )
        asked = tuple(one for one in requires if bare_name(one) not in have)
        return Picked(row=row, wheels=[main, *others], asked=asked)

    def like(self, name: str) -> RuntimeRow | None:
        """The row whose requirements also apply to a wheel of that name, such as onnxruntime's for onnxruntime-gpu."""
        rows = compatibility.rows(self.target, self.host)
        same = [row for row in rows if name.startswith(row.distribution)]
        return next(iter(same or rows), None)

    def offered(self, offer: Offer) -> Picked:
        """The runtime in a bundle."""
        picked = self.whole(offer.kits, self.version, offer.inside)
        if picked is None:
            raise wheel_sets.none_fits(offer.kits, self.target, self.host, offer.title)
        return picked

    def best(self) -> Picked:
        """The best available wheel for the board."""
        row = compatibility.choose(self.target, self.host, self.version, self.requires)
        number = self.version or row.version
        asked = (f"{row.distribution}=={number}", *row.requires)
        return Picked(row=replace(row, version=number), asked=asked)

    def fetched(self, picked: Picked) -> Picked:
        """The same runtime with all of its wheels fetched. If the index is unreachable, a kit from an earlier bundle is used.

        Raises:
            EdgewrightError: `no-wheel`, `index-unreachable`.
        """
        if not picked.asked:
            return picked
        if picked.wheels is not None:
            more = wheels.resolve(self.host, picked.asked)
            return replace(picked, wheels=[*picked.wheels, *more], asked=())
        found = wheels.recalled(self.host, picked.asked, picked.row.parts)
        if found is None:
            other = self.brought(picked.row.version) or self.brought(self.version)
            try:
                found = wheels.resolve(self.host, picked.asked, picked.row.parts, patient=other is None)
            except EdgewrightError as error:
                if other is None or error.code != Code.INDEX_UNREACHABLE:
                    raise
                return other
        return replace(picked, wheels=found, asked=())

    def brought(self, version: str | None) -> Picked | None:
        """A runtime that was imported to this machine from a bundle."""
        return self.whole(wheel_sets.kept(), version)

    def whole(
        self, some: Iterable[Kit], version: str | None, inside: Mapping[str, Wheel] | None = None
    ) -> Picked | None:
        """The best of the kits for the board whose wheels are all available."""
        for kit in wheel_sets.fitting(some, self.target, self.host, version, self.requires):
            found = (
                wheel_sets.stored(kit) if inside is None else [inside[file] for file in sorted(kit.wheels)]
            )
            if found is not None:
                return Picked(row=wheel_sets.row_of(kit, self.target), wheels=found, bundled=True)
        return None


def bare_name(requirement: str) -> str:
    """`numpy` of `numpy>=1.21`."""
    from packaging.requirements import Requirement  # not for a board that has its runtime
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(Requirement(requirement).name))


def split(found: list[Wheel], target: Target) -> tuple[Wheel, list[Wheel]]:
    """The runtime's own wheel, such as onnxruntime or onnxruntime-gpu, and the others.

    Raises:
        EdgewrightError: none of them is a runtime of the target, or several are.
    """
    from packaging.utils import canonicalize_name

    names = sorted({str(canonicalize_name(row.distribution)) for row in target.runtimes})
    mains = [wheel for wheel in found if wheel.distribution.startswith(tuple(names))]
    if len(mains) != 1:
        files = ", ".join(wheel.file for wheel in found)
        raise EdgewrightError(
            f"{len(mains)} of the wheels are a runtime of {target.name}: {files}",
            hint=f"give one of {', '.join(names)}",
            code=Code.WRONG_WHEEL,
        )
    return mains[0], [wheel for wheel in found if wheel is not mains[0]]
