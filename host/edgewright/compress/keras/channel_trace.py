"""What following channels through a graph finds: the weights and settings that change when one goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED
from edgewright.compress.keras.channel_ids import Channels, Ties

if TYPE_CHECKING:
    import numpy as np

    Ids = np.ndarray[Any, Any]


class NotFollowed(Exception):
    """A rule cannot say what becomes of a layer's channels. The text says why, after the layer's name."""


@dataclass(frozen=True)
class Cut:
    """An axis of a layer's weight along which channels lie."""

    layer: str
    weight: int
    axis: int
    ids: Ids


@dataclass(frozen=True)
class Setting:
    """A number in a layer's configuration, or the one at position `at` of a list, that counts channels."""

    layer: str
    key: str
    ids: Ids
    at: int | None = None


@dataclass(frozen=True)
class Call:
    """A layer's only call, or one of an operation without weights.

    Attributes:
        inputs: its input tensors.
        channels: those of each input; None where all stay.
        output: its first output tensor.
    """

    layer: Any
    inputs: Sequence[Any]
    channels: Sequence[Channels | None]
    output: Any
    constants: Sequence[Any] = ()

    @property
    def followed(self) -> Channels:
        """The channels of its first input."""
        if self.channels[0] is None:
            raise NotFollowed("has other channels at its first input")
        return self.channels[0]


@dataclass
class Trace:
    """What was found.

    Attributes:
        made: layer -> ids along the output axis of its main weights.
        produced: layer -> ids of its output channels.
        kept: layer -> why its output channels were not followed.
    """

    ties: Ties = field(default_factory=Ties)
    cuts: list[Cut] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    made: dict[str, Ids] = field(default_factory=dict)
    produced: dict[str, Ids] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def cut(self, layer: Any, variable: Any, axis: int, ids: Ids) -> None:
        """Channels lie along an axis, from the end if negative, of one of the layer's variables; None has no axes."""
        if variable is not None:
            index = next(at for at, one in enumerate(layer.weights) if one is variable)
            self.cuts.append(Cut(layer.name, index, axis % len(variable.shape), ids))


def along(trace: Trace, call: Call, axis: int) -> Ids:
    """The ids along an axis of the first input; those that lie along another one are locked."""
    import numpy as np

    found = call.channels[0]
    if found is not None and found.axis == axis:
        return found.ids
    if found is not None:
        trace.ties.lock(found.ids, f"{label(call.layer)} reads them along another axis")
    return np.full(call.inputs[0].shape[axis], FIXED)


def label(layer: Any) -> str:
    """How a report names a layer."""
    return f"{layer.name} ({type(layer).__name__})"
