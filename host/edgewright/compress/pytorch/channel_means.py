"""The means of layers' output channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.simulation import ROUNDED
from edgewright.compress.pytorch.weights import Call, Weights, watch

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BATCH = 32


def channel_means(
    body: Body,
    weights: Mapping[str, Weights],
    inputs: tuple[Any, ...],
    of: Callable[[Any], Any] = lambda values: values,
) -> dict[str, Array]:
    """Layer -> mean output per channel, float64 (channels,), before batch normalisation and activation function; over all samples,
    positions and calls.

    Args:
        of: a function of each output, whose mean is computed instead.
    """
    import torch

    names = {id(layer.parameter): name for name, layer in weights.items()}
    sums: dict[str, Any] = {}
    counts: dict[str, int] = {}

    def visit(call: Call) -> None:
        weight = getattr(call.weight, ROUNDED, call.weight)
        if (name := names.get(id(weight), "")) == "":
            return
        lying = of(call.answer.movedim(call.channel_axis, -1))
        rows = lying.reshape(-1, lying.shape[-1]).double()
        sums[name] = sums.get(name, 0) + rows.sum(0)
        counts[name] = counts.get(name, 0) + len(rows)

    with torch.no_grad(), watch(visit):
        for start in range(0, len(inputs[0]), _BATCH):
            body.run([tensor[start : start + _BATCH] for tensor in inputs])
    return {name: (sums[name] / counts[name]).numpy() for name in weights}
