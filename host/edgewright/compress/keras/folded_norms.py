"""The batch normalisations that a converter folds into the weighted layer before them."""

from __future__ import annotations

from typing import Any

from edgewright.compress.keras import graph, weighted_layers


def folded(model: Any) -> dict[str, Any]:
    """Weighted layer -> the batch normalisation that alone reads its output."""
    readers: dict[int, list[Any]] = {}
    for node in graph.calls(model):
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(node.operation)
    ends = {id(tensor) for tensor in model.outputs}
    uses = graph.uses(model)
    found = {}
    for name, layer in weighted_layers.weighted(model).items():
        tensor = uses[name][0].outputs[0]
        after = readers.get(id(tensor), [])
        if (
            len(uses[name]) == 1
            and len(after) == 1
            and id(tensor) not in ends
            and getattr(layer.activation, "__name__", "") == "linear"
            and weighted_layers.class_name(after[0]) == "BatchNormalization"
            and len(uses[after[0].name]) == 1
            and _axis(after[0]) % len(tensor.shape) == weighted_layers.channel_axis(layer, len(tensor.shape))
        ):
            found[name] = after[0]
    return found


def gain(norm: Any) -> Any:
    """What it multiplies each channel by, float64."""
    import numpy as np

    spread = 1 / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    return spread if norm.gamma is None else spread * norm.gamma.numpy()


def _axis(norm: Any) -> int:
    return int(norm.axis[0] if isinstance(norm.axis, list | tuple) else norm.axis)
