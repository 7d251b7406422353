"""Names of inputs and outputs, shared by all source formats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def unique(names: Sequence[str]) -> list[str]:
    """The names made unique: a repeated name gets its position appended."""
    found: list[str] = []
    for index, name in enumerate(names):
        chosen = name or "tensor"
        while chosen in found or (chosen != name and chosen in names):
            chosen = f"{chosen}_{index}"
        found.append(chosen)
    return found


def clean(names: Sequence[str]) -> list[str]:
    """Unique names that every framework accepts: `serving_default_x:0` -> `serving_default_x`."""
    return unique([re.sub(r"[^A-Za-z0-9_]", "_", re.sub(r":\d+$", "", name)) for name in names])


def given_shapes(
    shapes: Mapping[str, tuple[int, ...]], names: Sequence[str], others: Sequence[str] | None = None
) -> dict[str, tuple[int, ...]]:
    """The shapes keyed by the inputs' names, if the user wrote a plain form or another name.

    Args:
        others: other names that each input may go by.
    """
    known = dict(zip([*clean(names), *(others or ())], [*names, *(names if others else ())], strict=True))
    return {name if name in names else known.get(name, name): shape for name, shape in shapes.items()}


def paths(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of keys and positions to each leaf of nested dicts, lists and tuples, in the order of `tf.nest.flatten`."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from paths(value[key], (*at, str(key)))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, item in zip(value._fields, value, strict=True):
            yield from paths(item, (*at, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from paths(item, (*at, str(index)))
    else:
        yield at


def of_path(keys: Sequence[str], otherwise: str) -> str:
    """The name of a leaf: its path from the first word on, such as `boxes_0`; `otherwise` if the path has only positions."""
    first = next((at for at, key in enumerate(keys) if not key.isdecimal()), None)
    return otherwise if first is None else "_".join(keys[first:])
