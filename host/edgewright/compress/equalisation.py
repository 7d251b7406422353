"""Cross-layer equalisation: scales channels between layers so that their weights have equal ranges in both.

Int8 has one range for all channels of a tensor, so channels much smaller than the largest one keep few bits. The function of the network
stays the same. Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compress.network import Network
from edgewright.nouns.base import Noun
from edgewright.nouns.compression import ChannelLink

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_ROUNDS = 100
_SETTLED = 0.01  # relative change of all scales in a round after which there are no more
_SAME = 1e-4  # greatest difference of outputs, relative to their greatest value, that is no change of the function
_DEAD = 1e-6  # a channel whose range is smaller than this share of the largest one carries nothing
_SAMPLES = 8


class Equalised(Noun, frozen=True, kw_only=True):
    """What was done.

    Attributes:
        layers: whose output channels were scaled.
        left: layer -> why its output channels were not.
    """

    layers: tuple[str, ...]
    left: dict[str, str]


def equalise(network: Network, inputs: Sequence[Array]) -> Equalised:
    """Equalises a network of floats.

    Args:
        inputs: samples to prove with that scaling a link leaves the outputs the same; empty: random ones.
    """
    found = network.channel_links()
    samples = [array[:_SAMPLES] for array in inputs] or _random(network)
    exact = network.predict(samples)
    failed = _failures(network, found.links, samples, exact)
    links = [link for link in found.links if link.maker not in failed]
    if links and not _scaled(network, links, samples, exact):
        failed, links = [*failed, *(link.maker for link in links)], []
    left = {**found.left, **dict.fromkeys(failed, "scaling them changes the outputs")}
    order = [layer.name for layer in network.layers()]
    return Equalised(
        layers=tuple(link.maker for link in links),
        left={name: left[name] for name in order if name in left},
    )


def factors(made: Array, read: Array, bias: Array | None) -> Array:
    """What to divide a link's channels by: sqrt(made / read) gives both sides the range sqrt(made * read).

    A bias counts as a weight. Otherwise a channel that hardly depends on its inputs would grow until its bias alone sets the range of the
    tensor; the paper moves such biases into the next layer, which changes the function at padded borders. Channels with (almost) no weights
    on one side stay.

    Args:
        made, read: greatest |weight| per channel on either side. bias: of the channels; None: zero.
    """
    import numpy as np

    made = made if bias is None else np.maximum(made, np.abs(bias))
    alive = (made > _DEAD * made.max()) & (read > _DEAD * read.max())
    return np.sqrt(np.where(alive, made, 1.0) / np.where(alive, read, 1.0))


def _scaled(
    network: Network, links: Sequence[ChannelLink], samples: Sequence[Array], exact: Sequence[Array]
) -> bool:
    """Scales all links, and returns whether the outputs are the same; otherwise the network is as before.

    In half precision, rounding errors of many rounds add up. Then all factors are powers of two, which round nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        network.checkpoint(before)
        for powers in (False, True):
            for _ in range(_ROUNDS):
                if all([_settled(network, link, powers=powers) for link in links]):  # scales all of them
                    break
            if _same(network.predict(samples), exact):
                return True
            network.restore(before)
    return False


def _settled(network: Network, link: ChannelLink, *, powers: bool) -> bool:
    """Scales a link; returns whether that changed hardly anything."""
    import numpy as np

    found = factors(*network.channel_ranges(link), network.bias(link.maker))
    if powers:
        found = 2.0 ** np.rint(np.log2(found))
    network.scale_channels(link, found)
    return bool(np.abs(np.log(found)).max() < _SETTLED)


def _failures(
    network: Network, links: Sequence[ChannelLink], samples: Sequence[Array], exact: Sequence[Array]
) -> list[str]:
    """The makers of links that do change the outputs when they are scaled: the code of a network may do what its graph does not show."""
    if _stays(network, links, samples, exact):
        return []
    return [link.maker for link in links if not _stays(network, [link], samples, exact)]


def _stays(
    network: Network, links: Sequence[ChannelLink], samples: Sequence[Array], exact: Sequence[Array]
) -> bool:
    """Whether the outputs are the same with scaled channels. Powers of two are undone without a rounding error."""
    import numpy as np

    random = np.random.default_rng(0)
    chosen = [(link, 2.0 ** random.integers(-2, 3, len(network.channel_ranges(link)[0]))) for link in links]
    for link, values in chosen:
        network.scale_channels(link, values)
    found = network.predict(samples)
    for link, values in chosen:
        network.scale_channels(link, 1 / values)
    return _same(found, exact)


def _same(found: Sequence[Array], exact: Sequence[Array]) -> bool:
    import numpy as np

    return all(
        np.abs(one - other).max() <= _SAME * np.abs(other).max()
        for one, other in zip(found, exact, strict=True)
    )


def _random(network: Network) -> list[Array]:
    import numpy as np

    random = np.random.default_rng(0)
    return [
        random.normal(size=(_SAMPLES, *spec.shape[1:])).astype(spec.dtype)
        if "float" in spec.dtype
        else np.zeros((_SAMPLES, *spec.shape[1:]), spec.dtype)
        for spec in network.inputs
    ]
