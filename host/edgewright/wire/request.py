"""One command in the form that the agent reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgewright.wire.answers import Event
from edgewright.wire.commands import Command
from edgewright.wire.stream import Stream
from edgewright.wire.transport import Channel

A = TypeVar("A")
Body = Callable[[Channel, float, float], None]
Raw = Callable[[Event, Stream, float], None]


@dataclass(frozen=True)
class Request(Generic[A]):
    """A command.

    Args:
        body: sends the raw bytes that follow its line; called with the channel, the silence limit and the deadline.
    """

    command: Command[A]
    body: Body | None = None
