"""Finds the functions that the Python objects of a loaded SavedModel run."""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.compile.inspection import protobuf

# field numbers of saved_object_graph.proto
_OBJECT, _CONCRETE, _KEY, _VALUE, _BOUND = 1, 2, 1, 2, 2
_ASSET, _FUNCTION, _BARE, _CAPTURED, _REGISTERED = 5, 6, 8, 12, 13
_KINDS = (4, _ASSET, _FUNCTION, 7, _BARE, 9, 10, _CAPTURED)
_NAMES = {_FUNCTION: 1, _BARE: 1, _CAPTURED: 2}  # fields that hold names of functions


def functions(data: memoryview) -> dict[str, tuple[bool, ...]]:
    """Each such function, and for each of its last arguments whether the value bound to it is an asset.

    Raises:
        ValueError: an object refers to a function that is not listed, although TensorFlow finds it.
    """
    objects = list(protobuf.children(data, _OBJECT))
    assets = [_is_asset(one) for one in objects]
    found: dict[str, tuple[bool, ...]] = {}
    for entry in protobuf.children(data, _CONCRETE):
        name, values = protobuf.text(entry, _KEY), list(protobuf.children(entry, _VALUE))
        if name in found or len(values) > 1:
            raise ValueError(f"function {name} is listed twice")
        bound = [at for value in values for at in _numbers(value, _BOUND)]
        found[name] = tuple(at < len(assets) and assets[at] for at in bound)
    missing = {name for one in objects for name in _named(one)} - found.keys()
    if missing:
        raise ValueError(f"function {min(missing)} of an object is not listed")
    return found


def _named(data: memoryview) -> Iterator[str]:
    for kind, number in _NAMES.items():
        for value in protobuf.children(data, kind):
            yield from (bytes(name).decode() for name in protobuf.children(value, number))


def _is_asset(data: memoryview) -> bool:
    """Whether TensorFlow treats an object as an asset: the last kind counts, and a registered class takes precedence."""
    numbers = [number for number, _ in protobuf.fields(data)]
    kinds = [number for number in numbers if number in _KINDS]
    return kinds[-1:] == [_ASSET] and _REGISTERED not in numbers


def _numbers(data: memoryview, number: int) -> Iterator[int]:
    """The integers of a repeated field, packed or unpacked."""
    for found, value in protobuf.fields(data):
        if found == number:
            yield from [value] if isinstance(value, int) else protobuf.packed(value)
