"""Reads and appends protocol-buffer bytes without a schema: enough to inspect an ONNX file in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | memoryview


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of each field: bytes for a nested message or string, an int for a number (the bit pattern
    for a float).

    Raises:
        ValueError: the bytes are not a message, or are truncated.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0 or tag >= 2**32:  # other readers truncate a longer tag, and would find another field
            raise ValueError(f"field number {number}")
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > end:
            raise ValueError("cut short")
        part = data[at : at + size]
        yield number, part if kind == BYTES else int.from_bytes(part, "little")
        at += size


def children(data: memoryview, number: int) -> Iterator[memoryview]:
    """The nested messages or strings in field `number`."""
    for found, value in fields(data):
        if found == number and isinstance(value, memoryview):
            yield value


def text(data: memoryview, number: int) -> str:
    """The last string in field `number`; empty if absent."""
    found = ""
    for value in children(data, number):
        found = bytes(value).decode("utf-8", "replace")
    return found


def field(number: int, data: bytes) -> bytes:
    """A field of bytes, such as a nested message or a string."""
    return _as_varint(number << 3 | BYTES) + _as_varint(len(data)) + data


def packed(data: memoryview) -> Iterator[int]:
    """The integers of a packed field."""
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def signed(value: int) -> int:
    """A varint reinterpreted as a signed 64-bit number."""
    return value - 2**64 if value >= 2**63 else value


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
