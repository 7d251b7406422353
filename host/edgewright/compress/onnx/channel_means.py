"""The means of the output channels of an ONNX network's layers, in floats and in int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compress.onnx.layers import Layer
from edgewright.compress.onnx.session import Session
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def tensors(layers: Mapping[str, Layer]) -> dict[str, tuple[Layer, tuple[str, ...]]]:
    """Layer name -> the layer, and the tensors of its outputs before the activation: one for each of its nodes."""
    return {
        name: (
            layer,
            (layer.answer,) if len(layer.nodes) == 1 else tuple(node.output[0] for node in layer.nodes),
        )
        for name, layer in layers.items()
    }


def of(
    model: Any,
    inputs: Sequence[TensorSpec],
    places: Mapping[str, tuple[Layer, tuple[str, ...]]],
    samples: Sequence[Array],
) -> dict[str, Array]:
    """The mean of each channel over samples, positions and nodes: float64.

    Args:
        places: from `tensors`.
    """
    import numpy as np

    names = list(dict.fromkeys(name for _, wanted in places.values() for name in wanted))
    sums = {name: np.zeros(layer.channels) for name, (layer, _) in places.items()}
    counts = dict.fromkeys(places, 0)
    for row in Session(model, inputs, names).run(samples):
        found = dict(zip(names, row, strict=True))
        for name, (layer, wanted) in places.items():
            for tensor in wanted:
                values = np.moveaxis(found[tensor], layer.axis, 0).reshape(layer.channels, -1)
                sums[name] += values.sum(axis=1, dtype=np.float64)
                counts[name] += values.shape[1]
    return {name: total / max(1, counts[name]) for name, total in sums.items()}
