"""Compares a release's inputs and outputs with the incumbent's, so that applications keep working."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.deployments.tensor_names import exchanged, made_up, plain_name, positions
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.interface import ACCEPTED, INTERFACE, Interface
from edgewright.nouns.listing import cut, listed, plural
from edgewright.nouns.outcome import Check

OPTION = "--accept-interface-change"
_MOST = 4  # differences to list in one line


def checks(mine: Interface, theirs: Interface, current: str, *, accepted: bool) -> list[Check]:
    """The gate's checks of a release whose interface differs from the incumbent's; empty if it does not.

    A change of count, order, shape or dtype refuses. A change of names or integer scales is noted: an application may rely on them.

    Args:
        current: the incumbent's release.
        accepted: the user allows the change.
    """
    sides = (("input", mine.inputs, theirs.inputs), ("output", mine.outputs, theirs.outputs))
    found = []
    changes = [line for side in sides for line in changed(*side)]
    if changes:
        prefix = ACCEPTED if accepted else ""
        found.append(
            Check(
                name=INTERFACE,
                ok=accepted,
                note=f"{prefix}differs from that of {current}: {listed(changes, separator='; ', most=_MOST)}",
            )
        )
    warnings = [line for side in sides for line in renamed(*side) + rescaled(*side)]
    if warnings:
        found.append(
            Check(
                name=INTERFACE,
                ok=True,
                note=f"an application may notice: {listed(warnings, separator='; ', most=_MOST)}",
            )
        )
    return found


def unknown(current: str) -> Check:
    """The check to report if the incumbent's interface is unknown."""
    note = (
        f"not compared with {current}: this machine does not know its interface, and the board cannot say it"
    )
    return Check(name=INTERFACE, ok=True, note=note)


def changed(what: str, mine: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> list[str]:
    """Changes that break an application that addresses tensors by position."""
    if len(mine) != len(theirs):
        return [f"{plural(len(mine), what)}: {named(mine)} (was {len(theirs)}: {named(theirs)})"]
    if moved(mine, theirs):
        return [f"{what}s are in another order: {named(mine)} (was {named(theirs)})"]
    return [
        f"{what} {index} ({shown(here.name)}) is {typed(here)} (was {typed(there)})"
        for index, (here, there) in enumerate(zip(mine, theirs, strict=True))
        if (here.dtype, here.shape) != (there.dtype, there.shape)
    ]


def moved(mine: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> bool:
    """Whether tensors exchanged positions; ignores names that are ambiguous or made up by converters."""
    return exchanged([spec.name for spec in mine], [spec.name for spec in theirs])


def renamed(what: str, mine: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> list[str]:
    """Names that differ by more than what converters add; ignores names that converters made up."""
    if len(mine) != len(theirs) or moved(mine, theirs):
        return []
    places = positions([spec.name for spec in mine], [spec.name for spec in theirs])

    def notable(index: int, here: str, there: str) -> bool:
        elsewhere = places[index] not in (None, index)
        return plain_name(here) != plain_name(there) and (elsewhere or not (made_up(here) or made_up(there)))

    return [
        f"{what} {index} is named {shown(here.name)} (was {shown(there.name)})"
        for index, (here, there) in enumerate(zip(mine, theirs, strict=True))
        if notable(index, here.name, there.name)
    ]


def rescaled(what: str, mine: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> list[str]:
    """Integers whose scale or zero point changed."""
    if len(mine) != len(theirs):
        return []
    return [
        f"{what} {index} ({shown(here.name)}) has {scaled(here)} (was {scaled(there)})"
        for index, (here, there) in enumerate(zip(mine, theirs, strict=True))
        if here.dtype == there.dtype and (here.scale, here.zero_point) != (there.scale, there.zero_point)
    ]


def _few(lines: Sequence[str]) -> str:
    return listed(lines, separator="; ", most=_MOST)


def named(specs: Sequence[TensorSpec]) -> str:
    """The first names, in order."""
    return listed([shown(spec.name) for spec in specs])


def shown(name: str) -> str:
    """A tensor's name for people."""
    return cut(name) or "without a name"


def typed(spec: TensorSpec) -> str:
    """Dtype and shape."""
    return f"{spec.dtype} {list(spec.shape)}"


def scaled(spec: TensorSpec) -> str:
    """Scale and zero point."""
    return "no scale" if spec.scale is None else f"scale {spec.scale:.6g}, zero point {spec.zero_point or 0}"
