"""Masks of weights: which ones stay when the least important are set to zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.nouns.compression import WeightedLayer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def least(scores: Mapping[str, Array], sparsity: float, *, across: bool) -> dict[str, Array]:
    """Masks (True: stays) that remove the share `sparsity` of the weights, those with the lowest scores.

    Ties are broken by position, so that the share is exact: many weights may have the same score, such as zero.

    Args:
        scores: layer -> score of each weight, not negative.
        across: compare the weights of all layers with each other; otherwise each layer loses the same share.
    """
    import numpy as np

    if not scores or not across:
        return {
            name: _kept(values.reshape(-1), sparsity).reshape(values.shape) for name, values in scores.items()
        }
    kept = _kept(np.concatenate([values.reshape(-1) for values in scores.values()]), sparsity)
    found, start = {}, 0
    for name, values in scores.items():
        found[name] = kept[start : start + values.size].reshape(values.shape)
        start += values.size
    return found


def _kept(scores: Array, sparsity: float) -> Array:
    import numpy as np

    mask = np.ones(scores.size, bool)
    mask[np.argsort(scores, kind="stable")[: math.floor(sparsity * scores.size + 0.5)]] = False
    return mask


def of_pattern(layer: WeightedLayer, scores: Array, keep: int, of: int) -> Array | None:
    """A mask that keeps the `keep` best of every `of` weights in a row along the layer's inputs (N:M sparsity: Mishra et al., "Accelerating
    Sparse Deep Neural Networks", 2021).

    Returns:
        None if the layer has no such groups: it has no axis of inputs, or its length is not a multiple of `of`.
    """
    import numpy as np

    if layer.inputs is None or layer.shape[layer.inputs] % of:
        return None
    rows = np.moveaxis(scores, layer.inputs, -1)
    groups = rows.reshape(*rows.shape[:-1], -1, of)
    order = np.argsort(-groups, axis=-1, kind="stable")
    mask = np.zeros(groups.shape, bool)
    np.put_along_axis(mask, order[..., :keep], True, axis=-1)
    return np.moveaxis(mask.reshape(rows.shape), -1, layer.inputs)
