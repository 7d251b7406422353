"""Bounds what an SSH server makes this machine keep: paramiko believes every length, and does not hold a server to its window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgewright.wire.caps import NOISE, PACKET, WINDOW

DATA, EXTENDED_DATA = 94, 95  # messages of RFC 4254


class Overrun(EOFError):
    """The server sent more than it may; it ends the link."""


def bound(transport: Any) -> None:
    """Makes a paramiko Transport end its link at the first length, banner or flood beyond its cap."""
    packets = transport.packetizer
    packets.read_all = limited(packets.read_all)
    packets._read_timeout = counted(packets._read_timeout)
    table = dict(transport._channel_handler_table)
    for kind in (DATA, EXTENDED_DATA):
        table[kind] = held(table[kind])
    transport._channel_handler_table = table


def limited(read: Callable[..., bytes]) -> Callable[..., bytes]:
    """Reads a part of a packet, unless it is larger than a packet may be."""

    def read_all(count: int, check_rekey: bool = False) -> bytes:
        if count > PACKET.most:
            raise Overrun(f"a packet of {count} bytes")
        return read(count, check_rekey=check_rekey)

    return read_all


def counted(read: Callable[[float], bytes]) -> Callable[[float], bytes]:
    """Reads a piece of the lines before the key exchange, as long as they are few."""
    taken = 0

    def read_timeout(timeout: float) -> bytes:
        nonlocal taken
        piece = read(timeout)
        taken += len(piece)
        if taken > NOISE.most:
            raise Overrun(f"more than {NOISE.most} bytes before the key exchange")
        return piece

    return read_timeout


def held(feed: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Hands data on to its channel, unless too much waits there unread."""

    def feed_within(channel: Any, message: Any) -> None:
        feed(channel, message)
        if len(channel.in_buffer) + len(channel.in_stderr_buffer) > WINDOW.most:
            raise Overrun(f"more than {WINDOW.most} bytes beyond the window")

    return feed_within
