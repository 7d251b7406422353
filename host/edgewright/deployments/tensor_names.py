"""Compares the tensor names of two releases to find the same tensors."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

# prefixes and suffixes that converters add to the names of a model's tensors
_BEFORE = re.compile(r"(serving_default_|(Stateful)?PartitionedCall|Identity(?![^\W\d_]))", re.ASCII)
_BEHIND = re.compile(r"([_:.]\d+|_dequant)+\Z", re.ASCII)
_PORT = re.compile(r"(:\d+|_dequant)+\Z", re.ASCII)
# names that frameworks and converters give to tensors without a name
_NAMELESS = re.compile(r"(args|output)_\d+(_output)?|keras_tensor(_\d+)?", re.ASCII)
_COUNT = re.compile(r"[_.](\d+)\Z", re.ASCII)


def plain_name(name: str) -> str:
    """A tensor's name without what converters add; empty if they made up all of it."""
    plain = _without_start(_BEHIND.sub("", name))
    return "" if re.fullmatch(r"[:_.]?\d*", plain, re.ASCII) else plain


def made_up(name: str) -> bool:
    """Whether no part of a name comes from the model, so that it does not identify the tensor."""
    return not plain_name(name) or bool(_NAMELESS.fullmatch(_without_start(_PORT.sub("", name))))


def positions(here: Sequence[str], there: Sequence[str]) -> list[int | None]:
    """The position of each tensor in another release, found by name; None if the names do not identify it.

    Frameworks number the tensors of a process. So names that differ only in their number identify a tensor only if both
    releases have the same numbers.
    """
    mine, theirs = _by_plain_name(here), _by_plain_name(there)

    def position(name: str) -> int | None:
        if made_up(name):
            return None
        plain = plain_name(name)
        ours, known = mine[plain], theirs.get(plain, [])
        names = [there[one] for one in known]
        if len(set(names)) == len(names) == len(ours) and {here[one] for one in ours} == set(names):
            return known[names.index(name)]
        if len(ours) == len(names) == 1 and not _counted_apart(name, names[0]):
            return known[0]
        return None

    return [position(name) for name in here]


def exchanged(here: Sequence[str], there: Sequence[str]) -> bool:
    """Whether two or more tensors have exchanged positions in a cycle. A single tensor that moved may just be renamed."""
    found = positions(here, there)
    for start, _ in enumerate(found):
        at, steps = found[start], 1
        while at is not None and at != start and at < len(found) and steps <= len(found):
            at, steps = found[at], steps + 1
        if at == start and steps > 1:
            return True
    return False


def _without_start(name: str) -> str:
    while found := _BEFORE.match(name):
        name = name[found.end() :].lstrip("/_")
    return name


def _by_plain_name(names: Sequence[str]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for index, name in enumerate(names):
        found[plain_name(name)].append(index)
    return dict(found)


def _counted_apart(one: str, other: str) -> bool:
    counts = [_COUNT.search(_PORT.sub("", name)) for name in (one, other)]
    return all(counts) and len({found[1] for found in counts if found}) > 1
