"""How finely ncnn's outputs are quantised: not at all, as its 8-bit layers sum integers and return floats. Host side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.sdk.graphs import Tail


def tails(path: Path, outputs: list[str]) -> list[Tail | None]:  # noqa: ARG001 - every target has these arguments
    """None for each output: nothing on the way to it has a step."""
    return [None] * len(outputs)
