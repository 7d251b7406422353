"""Importance of weights and of channels, from data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.pytorch import losses
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.channel_means import channel_means
from edgewright.compress.pytorch.weights import Weights

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BATCH = 32


def taylor(
    body: Body,
    weights: Mapping[str, Weights],
    inputs: tuple[Any, ...],
    labels: Any,
    loss: str,
    *,
    probabilities: bool,
) -> dict[str, Array]:
    """|gradient * weight| per weight, summed over batches of 32, in inference mode. Gradients are those of a batch's mean loss."""
    import torch

    parameters = [layer.parameter for layer in weights.values()]
    sums = [torch.zeros_like(parameter, dtype=torch.float32) for parameter in parameters]
    kept = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:  # also of layers that the user froze
            parameter.requires_grad_(True)
        for batch in _batches(inputs):
            output = body.run([tensor[batch] for tensor in inputs])[0]
            value = losses.of_labels(output, labels[batch], loss, probabilities=probabilities)
            gradients = torch.autograd.grad(value, parameters, allow_unused=True)
            for total, parameter, gradient in zip(sums, parameters, gradients, strict=True):
                if gradient is not None:
                    total += (gradient * parameter.detach()).abs()
    finally:
        for parameter, required in zip(parameters, kept, strict=True):
            parameter.requires_grad_(required)
    return {name: total.numpy() for name, total in zip(weights, sums, strict=True)}


def activation(body: Body, weights: Mapping[str, Weights], inputs: tuple[Any, ...]) -> dict[str, Array]:
    """Mean |output| per output channel, before the activation function; over all calls of a layer that runs several times."""
    import torch

    found = channel_means(body, weights, inputs, torch.abs)
    return {name: values.astype("float32") for name, values in found.items()}


def _batches(inputs: tuple[Any, ...]) -> Iterator[slice]:
    for start in range(0, len(inputs[0]), _BATCH):
        yield slice(start, start + _BATCH)
