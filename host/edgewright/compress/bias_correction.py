"""Bias correction: rounding to int8 shifts the mean of each channel, and a changed bias shifts it back.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.2 and appendix D (empirical).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compress.network import Network
from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Corrected(Noun, frozen=True, kw_only=True):
    """What was done.

    Attributes:
        layers: whose biases were changed.
        left: layer -> why its biases were not changed.
        before, after: mean squared error of the simulated network's outputs, relative to the mean square of the float network's.
        undone: it got worse or cannot be computed, and the biases are as before.
    """

    layers: tuple[str, ...]
    left: dict[str, str]
    before: float
    after: float

    @property
    def undone(self) -> bool:
        """Whether the biases are as before, because the error got larger, or is not a number: an output may be infinite."""
        return not self.after <= self.before


def correct(network: Network, samples: Sequence[Array]) -> Corrected:
    """Corrects the biases of a network, layer by layer in the order of the graph. The simulation of int8 stays on.

    Args:
        samples: inputs; ranges are measured with them too.
    """
    network.simulate(None)
    exact, means = network.predict(samples), network.channel_means(samples)
    network.simulate(samples)
    before = error(network.predict(samples), exact)
    biases = {layer: bias for layer in means if (bias := network.bias(layer)) is not None}
    left = {layer: "there are none" for layer in means if layer not in biases}
    for layer in biases:
        if not _shift(network, layer, means, samples):
            left[layer] = "the int8 network does not have their sums as a tensor"
    after = error(network.predict(samples), exact)
    found = Corrected(
        layers=tuple(layer for layer in biases if layer not in left),
        left={layer: left[layer] for layer in means if layer in left},
        before=before,
        after=after,
    )
    if found.undone:
        for layer, bias in biases.items():
            network.set_bias(layer, bias)
    return found


def error(found: Sequence[Array], exact: Sequence[Array]) -> float:
    """The squared error of outputs relative to their squares, as a mean over the outputs."""
    import numpy as np

    return float(
        np.mean(
            [
                np.square(one - other, dtype=np.float64).sum()
                / max(np.square(other, dtype=np.float64).sum(), 1e-30)
                for one, other in zip(found, exact, strict=True)
            ]
        )
    )


def _shift(network: Network, layer: str, means: Mapping[str, Array], samples: Sequence[Array]) -> bool:
    """Gives a layer's channels their means in floats; layers before it are corrected already. Returns whether that can be done."""
    bias, found = network.bias(layer), network.channel_means(samples)
    assert bias is not None  # noqa: S101 - only layers with a bias are asked for
    if layer in found:
        network.set_bias(layer, (bias + means[layer] - found[layer]).astype(bias.dtype))
    return layer in found
