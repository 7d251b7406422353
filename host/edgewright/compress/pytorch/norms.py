"""The tensors of a batch normalisation, from the call of its function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgewright.compress.pytorch.functions import plain_name


@dataclass(frozen=True)
class Norm:
    """A batch normalisation: gamma * (x - mean) / sqrt(variance + epsilon) + beta. Gamma and beta are None if it has none."""

    mean: Any
    variance: Any
    gamma: Any
    beta: Any
    epsilon: float

    @property
    def gain(self) -> Any:
        """What it multiplies each channel by, float64 (channels,)."""
        spread = (self.variance.detach().double() + self.epsilon).rsqrt()
        return spread if self.gamma is None else spread * self.gamma.detach().double()


_STATISTICS_FIRST = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_WEIGHTS_FIRST = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
_WITHOUT_TRAINING = ("input", "weight", "bias", "running_mean", "running_var", "momentum", "eps")


def norm_of(function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Norm:
    """The batch normalisation of a call of one of PyTorch's functions for it."""
    import torch

    order: tuple[str, ...]
    if function is torch.nn.functional.batch_norm:
        order = _STATISTICS_FIRST
    elif plain_name(function).endswith("no_training"):
        order = _WITHOUT_TRAINING
    else:
        order = _WEIGHTS_FIRST
    given = {**dict(zip(order, args, strict=False)), **named}
    epsilon = given.get("eps", given.get("epsilon", 1e-5))
    return Norm(
        mean=given["running_mean"],
        variance=given["running_var"],
        gamma=given.get("weight"),
        beta=given.get("bias"),
        epsilon=float(epsilon),
    )
