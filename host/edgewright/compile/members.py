"""Which member of an `.npz` is for which input."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from edgewright.compile.sources.names import clean
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec

LABELS = ("labels", "y")


def paired(path: Path, specs: Sequence[TensorSpec], members: Sequence[str]) -> list[str]:
    """The member for each input: of its name, whatever the order is; else `input_<i>`; of a lone input `x`, or the only one.

    Members beside those that have the inputs' names are nobody's business; beside others they are an error, for then the file
    may be another model's.

    Raises:
        DataError: an input has none, or a member is no input.
    """
    names = [spec.name for spec in specs]
    keys = [key for key in members if key not in LABELS or key in names]
    found = by_name(specs, keys)
    if None not in found:
        return [name for name in found if name is not None]
    places = [f"input_{index}" for index in range(len(specs))]
    if set(places) <= set(keys):
        found = list(places)
    elif len(specs) == 1:
        found = ["x" if "x" in keys else keys[0] if len(keys) == 1 else None]
    else:
        free = [place if place in keys and place not in found else None for place in places]
        found = [name or place for name, place in zip(found, free, strict=True)]
    lacking = [name for name, member in zip(names, found, strict=True) if member is None]
    foreign = [key for key in keys if key not in found]
    if lacking or foreign:
        raise _refusal(path, specs, keys, lacking, foreign)
    return [name for name in found if name is not None]


def by_name(specs: Sequence[TensorSpec], keys: Collection[str]) -> list[str | None]:
    """The key of each input's name, its name in the artifact, or its plain form; None where there is none."""
    plain = clean([spec.name for spec in specs])
    taken = {spec.name for spec in specs}
    found: list[str | None] = []
    for spec, other in zip(specs, plain, strict=True):
        forms = [spec.name, *(form for form in (spec.bound, other) if form not in taken)]
        found.append(next((form for form in forms if form in keys), None))
    return found


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
        problem = f"{path} has a member that is no input: {foreign[0]}, of {', '.join(keys)}"
    names = ", ".join(spec.name for spec in specs)
    several = len(specs) > 1
    return DataError(
        problem,
        hint=f"name the members {names}, or input_0, input_1, ..."
        if several
        else f"name the member {names}, or x",
    )
