"""A sensitivity scan: how much a network's outputs change when one layer alone is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compress import masks
from edgewright.compress.step_run import StepRun
from edgewright.nouns.compression import WeightedLayer
from edgewright.nouns.listing import listed

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SAMPLES = 256  # enough to rank layers


def most_sensitive(
    run: StepRun, cuts: Mapping[str, Array], share: float
) -> tuple[tuple[str, ...], list[str]]:
    """The layers whose cut changes the outputs most, in the order of the graph, and a note that names them.

    One layer after the other loses its weights while all others keep theirs, without training (Li et al., "Pruning Filters for Efficient
    ConvNets", 2017). Needs inputs, and no labels: an output's change is its mean squared difference, in parts of its variance.

    Args:
        cuts: layer -> the mask of its weights, False for those that it would lose.
        share: of the layers; at least one, and never all.
    """
    if len(cuts) < 2:
        return (), []
    inputs = [array[:: max(1, len(array) // _SAMPLES)][:_SAMPLES] for array in run.inputs]
    expected = run.network.predict(inputs)
    changes = {}
    for name, mask in cuts.items():
        weights = run.network.weight(name)
        run.network.set_weight(name, weights * mask)
        changes[name] = _change(expected, run.network.predict(inputs))
        run.network.set_weight(name, weights)
    most = min(len(cuts) - 1, max(1, round(share * len(cuts))))
    kept = sorted(changes, key=lambda name: -changes[name])[:most]
    shown = [f"{name} ({changes[name]:.1%})" for name in kept]
    rest = max((change for name, change in changes.items() if name not in kept), default=0.0)
    note = f"kept whole, as a cut would change the outputs most: {listed(shown, most=8)}"
    return tuple(name for name in cuts if name in kept), [f"{note}; other layers: at most {rest:.1%}"]


def channel_cuts(
    layers: Sequence[WeightedLayer], weights: Mapping[str, Array], share: float
) -> dict[str, Array]:
    """Masks that take the share of the output channels with the least norms from each layer."""
    import numpy as np

    found = {}
    for layer in layers:
        rows = np.moveaxis(weights[layer.name], layer.outputs, 0)
        norms = np.sqrt((rows.reshape(len(rows), -1) ** 2).sum(axis=1))
        kept = masks.least({layer.name: norms}, share, across=False)[layer.name]
        whole = np.broadcast_to(kept.reshape(-1, *[1] * (rows.ndim - 1)), rows.shape)
        found[layer.name] = np.moveaxis(whole, 0, layer.outputs)
    return found


def _change(expected: Sequence[Array], found: Sequence[Array]) -> float:
    """The mean over outputs of squared differences by variance."""
    import numpy as np

    parts = [
        float(np.square(ours - theirs).mean() / max(float(theirs.var()), 1e-12))
        for ours, theirs in zip(found, expected, strict=True)
    ]
    return float(np.mean(parts))
