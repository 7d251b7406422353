"""Maps the members of an `.npz` to inputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from edgewright.compile.sources.names import clean
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec

LABELS = ("labels", "y")
_PLACE = re.compile(r"input_\d+")


def paired(path: Path, specs: Sequence[TensorSpec], members: Sequence[str]) -> list[str]:
    """The member for each input: by name, in any order; else `input_<i>`; for a single input also `x`, or the only member.

    If all inputs are matched by name, other members are ignored; otherwise they are an error, since the file may belong to
    another model. Names from the artifact's file are tried last, so that a file that fits the source is read the same way for
    each of its artifacts.

    Raises:
        DataError: an input has no member, or a member is not an input.
    """
    names = [spec.name for spec in specs]
    keys = [key for key in members if key not in LABELS or key in names]
    places = [f"input_{index}" for index in range(len(specs))]
    all_placed = set(places) <= set(keys)
    found = _by_source(specs, keys, places if all_placed else ())
    if None not in found:
        return [name for name in found if name is not None]
    if all_placed:
        found = list(places)
    elif len(specs) == 1:
        found = ["x" if "x" in keys else keys[0] if len(keys) == 1 else None]
    else:
        free = [place if place in keys and place not in found else None for place in places]
        found = [name or place for name, place in zip(found, free, strict=True)]
    lacking = [name for name, member in zip(names, found, strict=True) if member is None]
    foreign = [key for key in keys if key not in found]
    if lacking or foreign:
        bound = by_name(specs, keys)
        if None in bound:
            raise _refusal(path, specs, keys, lacking, foreign)
        found = bound
    return [name for name in found if name is not None]


def by_name(specs: Sequence[TensorSpec], keys: Collection[str]) -> list[str | None]:
    """The key that matches each input's name, its plain form, or its name in the artifact; None if there is none.

    A key belongs to at most one input. A name in the artifact does not count if it looks like a position or may be another input's name.
    """
    bound = [spec.bound for spec in specs]
    taken = {spec.name for spec in specs} | set(clean([spec.name for spec in specs]))
    found = _by_source(specs, keys)
    return [
        name
        or (form if form in keys and form not in taken and bound.count(form) == 1 and not _PLACE.fullmatch(form) else None)
        for name, form in zip(found, bound, strict=True)
    ]  # fmt: skip


def _by_source(
    specs: Sequence[TensorSpec], keys: Collection[str], places: Collection[str] = ()
) -> list[str | None]:
    """The key that matches each input's name, or its plain form if that is neither another input's name nor one of the positions."""
    names = [spec.name for spec in specs]
    forms = [form if form not in (*names, *places) else None for form in clean(names)]
    return [
        name if name in keys else form if form in keys else None
        for name, form in zip(names, forms, strict=True)
    ]


def _refusal(
    path: Path,
    specs: Sequence[TensorSpec],
    keys: Sequence[str],
    lacking: Sequence[str],
    foreign: Sequence[str],
) -> DataError:
    if lacking:
        problem = f"{path} has no member for input {lacking[0]}: {', '.join(keys) or 'it is empty'}"
    else:
        problem = f"{path} has a member that is not an input: {foreign[0]}, of {', '.join(keys)}"
    names = ", ".join(spec.name for spec in specs)
    several = len(specs) > 1
    return DataError(
        problem,
        hint=f"name the members {names}, or input_0, input_1, ..."
        if several
        else f"name the member {names}, or x",
    )
