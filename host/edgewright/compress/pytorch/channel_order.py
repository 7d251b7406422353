"""Which channels of a group go: the least important."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.pytorch.groups import Group
from edgewright.compress.pytorch.weights import Weights
from edgewright.errors import ConversionError
from edgewright.nouns.compression import ChannelPruning

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def least_important(
    group: Group,
    weights: Mapping[str, Weights],
    wanted: ChannelPruning,
    scores: Mapping[str, Array],
    number: int,
) -> tuple[int, ...]:
    """The root's channels to remove, in order.

    A channel's importance is the mean over the group's layers: of the norm of its weights, or of its activation, each relative to
    the mean of the layer's channels; or the sum over the group's layers of its `taylor` scores.

    Args:
        number: of the group, for `random`.
    """
    import numpy as np

    count = len(group.channels) - _kept(len(group.channels), wanted)
    if wanted.importance == "random":
        random = np.random.default_rng([wanted.seed, number])
        chosen = random.permutation(len(group.channels))[:count]
        return tuple(sorted(group.channels[at] for at in chosen))
    at = {channel: index for index, channel in enumerate(group.channels)}
    total = np.zeros(len(group.channels))
    for member in group.members:
        values = _of_channels(weights[member.layer], wanted.importance, scores)[list(member.channels)]
        if wanted.importance != "taylor":
            values = values / (values.mean() or 1.0)
        np.add.at(total, [at[root] for root in member.roots], values)
    order = np.argsort(total, kind="stable")
    return tuple(sorted(group.channels[index] for index in order[:count]))


def _kept(count: int, wanted: ChannelPruning) -> int:
    kept = max(1, count - math.floor(count * wanted.share + 1e-9))
    return min(count, -(-kept // wanted.round_to) * wanted.round_to)


def _of_channels(layer: Weights, kind: str, scores: Mapping[str, Array]) -> Array:
    """A number per output channel of one layer."""
    import numpy as np

    name, axis = layer.spec.name, layer.spec.outputs
    if kind in ("taylor", "activation") and name not in scores:
        raise ConversionError(
            f"there are no {kind} scores for layer {name}", hint="compute them on this network"
        )
    if kind == "activation":
        return np.asarray(scores[name], "float64")
    values = scores[name] if kind == "taylor" else layer.parameter.detach().double().numpy()
    rows = np.moveaxis(np.asarray(values, "float64"), axis, 0).reshape(values.shape[axis], -1)
    found: Array = np.sqrt((rows**2).sum(1)) if kind == "l2" else np.abs(rows).sum(1)
    return found
