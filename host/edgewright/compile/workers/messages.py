"""The messages between the host and its workers: pickled values, each prefixed by its length."""

from __future__ import annotations

import pickle
import signal
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # workers ignore these: the host ends them
_HEAD = struct.Struct("<Q")
_MOST = 1 << 31  # bytes of a message
MOST_OF_AN_ANSWER = 1 << 29  # bytes: twice what the outputs for an evaluation set may take


def send(stream: BinaryIO, value: Any, write: Callable[[Any], bytes] = pickle.dumps) -> None:
    """Writes one pickled value, prefixed by its length."""
    data = write(value)
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO, read: Callable[[bytes], Any] = pickle.loads, most: int = _MOST) -> Any:
    """Reads what `send` wrote.

    Args:
        read: reads the value from the bytes; a worker's bytes may be written by a model that took it over.
        most: the most bytes that are accepted.

    Raises:
        EOFError: the other end is gone.
        ValueError: it is too long.
    """
    head = stream.read(_HEAD.size)
    size = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else -1
    if size > most:
        raise ValueError(f"{size} bytes")
    data = stream.read(size) if size >= 0 else b""
    if size < 0 or len(data) < size:
        raise EOFError("the other end of the pipe is gone")
    return read(data)
