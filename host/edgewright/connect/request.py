"""One command in the form that the agent reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgewright.connect.stream import Stream
from edgewright.connect.transport import Channel

Body = Callable[[Channel, float, float], None]
Raw = Callable[[dict[str, Any], Stream, float], None]


@dataclass(frozen=True)
class Request:
    """A command.

    Args:
        do: its name.
        args: its arguments.
        body: sends the raw bytes that follow its line; it is given the silence limit and the deadline.
    """

    do: str
    args: dict[str, Any] = field(default_factory=dict)
    body: Body | None = None
