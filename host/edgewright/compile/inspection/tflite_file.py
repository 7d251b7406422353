"""Inspects a .tflite file (a FlatBuffer) without a runtime."""

from __future__ import annotations

import struct
from pathlib import Path

from edgewright.nouns.base import Noun

_SUBGRAPHS, _TENSORS, _TENSOR_TYPE, _TENSOR_QUANTISATION, _SCALE = 2, 0, 1, 4, 2
_GRAPH_INPUTS, _TENSOR_SHAPE, _TENSOR_NAME, _TENSOR_OPEN_SHAPE = 1, 0, 3, 7
_OPERATOR_CODES, _CUSTOM_CODE = 1, 1
_SIGNATURES, _SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS, _SIGNATURE_NAME, _SIGNATURE_SUBGRAPH = 7, 0, 1, 2, 4
_MAP_NAME, _MAP_TENSOR = 0, 1
_SMALL_INTEGERS = (3, 7, 9, 17)  # uint8, int16, int8, int4 in the schema's TensorType


class TfliteSignature(Noun, frozen=True, kw_only=True):
    """A signature of the file: its name, the names of its inputs and outputs, and the index of its subgraph.

    Boards run subgraph 0.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    subgraph: int


class TfliteFile(Noun, frozen=True, kw_only=True):
    """The contents of the file.

    Attributes:
        quantised: some tensor holds small integers with a scale.
        custom: names of custom operators; TensorFlow's begin with `Flex`.
        signatures: in the file's order.
    """

    quantised: bool
    tensors: int
    custom: tuple[str, ...] = ()
    signatures: tuple[TfliteSignature, ...] = ()


def look(path: Path) -> TfliteFile:
    """Reads the structure.

    Raises:
        ValueError: it is not a .tflite file, or is truncated.
    """
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError("no TFL3 mark")
    try:
        return _model(data)
    except (struct.error, IndexError) as error:
        raise ValueError("cut short") from error


def inputs(path: Path, subgraph: int, signature: str = "") -> list[tuple[str, list[int]]]:
    """Name and axes of each input of a subgraph; a negative axis is dynamic.

    Args:
        signature: a signature of that subgraph; its names are used if it names every input, else the tensors' own.

    Raises:
        ValueError: as `look`.
    """
    data = path.read_bytes()
    try:
        graph = _tables(data, _root(data), _SUBGRAPHS)[subgraph]
        tensors = _tables(data, graph, _TENSORS)
        places = _integers(data, graph, _GRAPH_INPUTS)
        names = [_text(data, _field(data, tensors[at], _TENSOR_NAME)) for at in places]
        called = _input_names(data, signature) if signature else {}
        if len({called.get(at) or None for at in places} - {None}) == len(places):
            names = [called[at] for at in places]
        return [(name, _axes(data, tensors[at])) for name, at in zip(names, places, strict=True)]
    except (struct.error, IndexError) as error:
        raise ValueError("cut short") from error


def _input_names(data: bytes, signature: str) -> dict[int, str]:
    """The name of each input of a signature, by tensor index."""
    for table in _tables(data, _root(data), _SIGNATURES):
        if _signature(data, table).name == signature:
            entries = _tables(data, table, _SIGNATURE_INPUTS)
            fields = [(_field(data, one, _MAP_NAME), _field(data, one, _MAP_TENSOR)) for one in entries]
            return {_number(data, at) if at else 0: _text(data, name) for name, at in fields if name}
    return {}


def _axes(data: bytes, tensor: int) -> list[int]:
    return _integers(data, tensor, _TENSOR_OPEN_SHAPE) or _integers(data, tensor, _TENSOR_SHAPE)


def _integers(data: bytes, table: int, slot: int) -> list[int]:
    """A vector of 32-bit integers."""
    at = _field(data, table, slot)
    if not at:
        return []
    vector = _follow(data, at)
    return list(struct.unpack_from(f"<{_number(data, vector)}i", data, vector + 4))


def _model(data: bytes) -> TfliteFile:
    quantised, count = False, 0
    for graph in _tables(data, _root(data), _SUBGRAPHS):
        for tensor in _tables(data, graph, _TENSORS):
            count += 1
            kind = _field(data, tensor, _TENSOR_TYPE)
            scaled = _scaled(data, tensor)
            if kind and data[kind] in _SMALL_INTEGERS and scaled:
                quantised = True
    if not count:
        raise ValueError("no tensors")
    codes = _tables(data, _root(data), _OPERATOR_CODES)
    custom = {_text(data, at) for code in codes if (at := _field(data, code, _CUSTOM_CODE))}
    signatures = tuple(_signature(data, one) for one in _tables(data, _root(data), _SIGNATURES))
    return TfliteFile(quantised=quantised, tensors=count, custom=tuple(sorted(custom)), signatures=signatures)


def _signature(data: bytes, table: int) -> TfliteSignature:
    name, subgraph = _field(data, table, _SIGNATURE_NAME), _field(data, table, _SIGNATURE_SUBGRAPH)
    inputs, outputs = (
        tuple(_text(data, at) for one in _tables(data, table, slot) if (at := _field(data, one, 0)))
        for slot in (_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS)
    )
    return TfliteSignature(
        name=_text(data, name) if name else "", inputs=inputs, outputs=outputs,
        subgraph=_number(data, subgraph) if subgraph else 0,
    )  # fmt: skip


def _text(data: bytes, at: int) -> str:
    start = _follow(data, at)
    return data[start + 4 : start + 4 + _number(data, start)].decode("utf-8", "replace")


def _scaled(data: bytes, tensor: int) -> bool:
    at = _field(data, tensor, _TENSOR_QUANTISATION)
    scales = _field(data, _follow(data, at), _SCALE) if at else 0
    return bool(scales) and _number(data, _follow(data, scales)) > 0


def _number(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _follow(data: bytes, at: int) -> int:
    target = at + _number(data, at)
    if target >= len(data):
        raise IndexError(target)
    return target


def _root(data: bytes) -> int:
    return _follow(data, 0)


def _field(data: bytes, table: int, slot: int) -> int:
    """The position of a table's field; 0 if absent."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * slot
    offset = struct.unpack_from("<H", data, vtable + place)[0] if place < size else 0
    return table + offset if offset else 0


def _tables(data: bytes, table: int, slot: int) -> list[int]:
    at = _field(data, table, slot)
    if not at:
        return []
    vector = _follow(data, at)
    count = _number(data, vector)
    if vector + 4 + 4 * count > len(data):
        raise IndexError(count)
    return [_follow(data, vector + 4 + 4 * index) for index in range(count)]
