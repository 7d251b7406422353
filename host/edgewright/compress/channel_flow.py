"""Which channels can be scaled where they are made, because only weighted layers read them, which can undo it.

A framework follows its graph and says what happens to channels; this module keeps the books. Each output channel of a layer has an id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from edgewright.nouns.compression import ChannelLink, ChannelLinks

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FIXED = -1
"""The id of what no layer makes, such as an input's channels and padding."""
NOT_SCALED = "does not scale with its input"
JOINED = "reads them together with others"


class ChannelFlow:
    """What was found while a graph was followed."""

    def __init__(self) -> None:
        self._owners: list[str] = []  # of each id
        self._first: dict[str, int] = {}  # layer -> its first id
        self._left: dict[str, str] = {}
        self._reads: list[tuple[str, Array]] = []

    def made(self, layer: str, count: int) -> Array:
        """The ids of a layer's output channels, int (count,)."""
        import numpy as np

        first = self._first[layer] = len(self._owners)
        self._owners.extend([layer] * count)
        return np.arange(first, first + count)

    def read(self, layer: str, ids: Array) -> None:
        """A weighted layer reads channels.

        Args:
            ids: int (n,): the channel at each position of its axis of inputs.
        """
        self._reads.append((layer, ids))

    def leave(self, layer: str, why: str) -> None:
        """The layer's output channels cannot be scaled. The first reason is kept."""
        self._left.setdefault(layer, why)

    def lock(self, ids: Iterable[int], why: str) -> None:
        """These channels cannot be scaled, nor the others of the layers that make them."""
        for owner in {self._owners[one] for one in ids if one != FIXED}:
            self.leave(owner, why)

    def end(self, ids: Iterable[int]) -> None:
        """These channels are an output of the network: there is nothing to say about why they stay."""
        self._left.update({self._owners[one]: "" for one in ids if one != FIXED})

    @cached_property
    def links(self) -> dict[str, Link]:
        """Layer that makes channels -> who reads them, in the order of the graph; once all has been followed."""
        import numpy as np

        found = {}
        owners = np.array(self._owners)
        for maker, first in self._first.items():
            if maker in self._left:
                continue
            reads = []
            for layer, ids in self._reads:
                (rows,) = np.nonzero((ids != FIXED) & (owners[ids] == maker))
                if len(rows):
                    reads.append(Read(layer, len(ids), rows, ids[rows] - first))
            if reads:
                found[maker] = Link(self._owners.count(maker), tuple(reads))
            else:
                self.leave(maker, "no layer with weights reads them")
        return found

    def report(self) -> ChannelLinks:
        """What `Network.channel_links` returns."""
        made = tuple(
            ChannelLink(maker=maker, readers=tuple(one.layer for one in link.reads))
            for maker, link in self.links.items()
        )
        return ChannelLinks(links=made, left={layer: why for layer, why in self._left.items() if why})

    def ranges(self, link: ChannelLink, layers: ScalableLayers) -> tuple[Array, Array]:
        """See `Network.channel_ranges`."""
        import numpy as np

        found = self.links[link.maker]
        read = np.zeros(found.count)
        for one in found.reads:
            np.maximum.at(read, one.channels, layers.read_range(one.layer)[one.rows])
        return layers.made_range(link.maker), read

    def scale(self, link: ChannelLink, layers: ScalableLayers, factors: Array) -> None:
        """See `Network.scale_channels`."""
        import numpy as np

        layers.divide(link.maker, factors)
        for one in self.links[link.maker].reads:
            spread = np.ones(one.size)
            spread[one.rows] = factors[one.channels]
            layers.multiply(one.layer, spread)


@dataclass(frozen=True)
class Read:
    """A layer that reads channels of a link.

    Attributes:
        size: of the layer's axis of inputs.
        rows: int (n,): the positions on it that are of the link; channels: int (n,): the channel of the link at each.
    """

    layer: str
    size: int
    rows: Array
    channels: Array


@dataclass(frozen=True)
class Link:
    """The channels of one layer: how many, and who reads them."""

    count: int
    reads: tuple[Read, ...]


class ScalableLayers(Protocol):
    """The weights of layers, as a framework has them; float64."""

    def made_range(self, layer: str) -> Array:
        """The greatest |weight| per output channel, with the batch normalisation folded into it."""

    def read_range(self, layer: str) -> Array:
        """The greatest |weight| per position on the axis of inputs, with the batch normalisation folded into it."""

    def divide(self, layer: str, factors: Array) -> None:
        """Divides the output channels."""

    def multiply(self, layer: str, factors: Array) -> None:
        """Multiplies the weights by a factor per position on the axis of inputs."""
