"""Chooses the channels to remove: the least important of each group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED
from edgewright.compress.keras import weighted_layers
from edgewright.compress.keras.channel_trace import Trace
from edgewright.nouns.compression import ChannelPruning

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def choose(
    layers: Mapping[str, Any], trace: Trace, wanted: ChannelPruning, scores: Mapping[str, Array]
) -> Array:
    """bool (ids,): which go. Tied channels count as one, as important as the filters that make it are together.

    Args:
        layers: the weighted layers by name.
        scores: of `taylor` or `activation`, as `Network.importance` gives them.
    """
    import numpy as np

    roots = trace.ties.roots()
    importance = np.zeros(len(roots))
    makers: list[list[str]] = [[] for _ in roots]
    for name, ids in trace.made.items():
        values = _of_filters(layers[name], wanted.importance, scores, len(ids))
        for one, value in zip(ids, values, strict=True):
            if one != FIXED:
                importance[roots[one]] += value
                makers[roots[one]].append(name)
    if wanted.importance == "random":
        importance = np.random.default_rng(wanted.seed).random(len(roots))
    groups: dict[frozenset[str], list[int]] = {}
    for root in np.unique(roots):
        groups.setdefault(frozenset(makers[root]), []).append(int(root))
    gone = np.zeros(len(roots), bool)
    for group in groups.values():
        free = [root for root in group if trace.ties.locked(root) is None]
        free.sort(key=lambda root: (importance[root], root))
        gone[free[: len(group) - _staying(len(group), wanted)]] = True
    return gone[roots]


def _staying(size: int, wanted: ChannelPruning) -> int:
    """How many channels of a group stay."""
    left = max(1, size - math.floor(size * wanted.share + 1e-9))
    return min(size, math.ceil(left / wanted.round_to) * wanted.round_to)


def _of_filters(layer: Any, kind: str, scores: Mapping[str, Array], count: int) -> Array:
    """The importance of each filter, float64."""
    import numpy as np

    if kind == "random":
        return np.zeros(count)
    if kind == "activation":  # a depthwise layer may have several outputs for one of its filters
        summed: Array = np.asarray(scores[layer.name], float).reshape(count, -1).sum(axis=1)
        return summed
    values = np.asarray(
        scores[layer.name] if kind == "taylor" else weighted_layers.main_weights(layer).numpy(), float
    )
    flat = np.abs(np.moveaxis(values, weighted_layers.described(layer).outputs, 0).reshape(count, -1))
    return np.asarray(np.sqrt((flat**2).sum(axis=1)) if kind == "l2" else flat.sum(axis=1))
