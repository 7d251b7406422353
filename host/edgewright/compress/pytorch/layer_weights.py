"""Weights and biases of weighted layers, with the batch normalisations that converters fold into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.pytorch.channel_scaling import Followed
from edgewright.compress.pytorch.weights import Weights

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class LayerWeights:
    """Of one module. Satisfies `channel_flow.ScalableLayers`.

    Attributes:
        flow: of the module's channels.
    """

    def __init__(self, weights: Mapping[str, Weights], followed: Followed) -> None:
        self.flow = followed.flow
        self._weights, self._followed = weights, followed

    def bias(self, layer: str) -> Array | None:
        """What is added to the output channels, float32; None if there is nothing."""
        parameter = self._added(layer)
        return None if parameter is None else parameter.detach().float().numpy().copy()

    def set_bias(self, layer: str, values: Array) -> None:
        """Replaces what `bias` returns."""
        import numpy as np
        import torch

        with torch.no_grad():
            self._added(layer).copy_(torch.from_numpy(np.array(values)))

    def _added(self, layer: str) -> Any:
        """The parameter of a bias."""
        norm = self._followed.norms.get(layer)
        return self._followed.biases.get(layer) if norm is None else norm.beta

    def folded(self, layer: str, means: Array) -> Array:
        """The means of a layer's outputs behind the batch normalisation folded into it."""
        norm = self._followed.norms.get(layer)
        if norm is None:
            return means
        centred = (means - norm.mean.detach().numpy()) * norm.gain.numpy()
        found: Array = centred if norm.beta is None else centred + norm.beta.detach().numpy()
        return found

    def made_range(self, layer: str) -> Array:
        """See `channel_flow.ScalableLayers`."""
        found: Array = (
            self._folded(layer).amax(self._others(layer, self._weights[layer].spec.outputs)).numpy()
        )
        return found

    def read_range(self, layer: str) -> Array:
        """See `channel_flow.ScalableLayers`."""
        axis = self._weights[layer].spec.inputs
        rows = self._folded(layer).amax(self._others(layer, axis or 0))
        if axis is None:
            rows = rows.reshape(self._followed.taken[layer], -1).amax(1)
        found: Array = rows.numpy()
        return found

    def divide(self, layer: str, factors: Array) -> None:
        """See `channel_flow.ScalableLayers`."""
        import torch

        by = torch.from_numpy(factors)
        norm = self._followed.norms.get(layer)
        with torch.no_grad():
            if norm is None:
                spec = self._weights[layer].spec
                _scale(self._weights[layer].parameter, 1 / _column(by, spec.outputs, len(spec.shape)))
            for one in (norm.gamma, norm.beta) if norm is not None else (self._followed.biases.get(layer),):
                if one is not None:
                    _scale(one, 1 / by)

    def multiply(self, layer: str, factors: Array) -> None:
        """See `channel_flow.ScalableLayers`."""
        import torch

        spec, parameter = self._weights[layer].spec, self._weights[layer].parameter
        by = torch.from_numpy(factors)
        with torch.no_grad():
            if spec.inputs is None:
                by = by.repeat_interleave(spec.shape[0] // len(by))
            _scale(parameter, _column(by, spec.inputs or 0, len(spec.shape)))

    def _folded(self, layer: str) -> Any:
        """|weights| with the batch normalisation folded into them, float64."""
        weights = self._weights[layer]
        found, norm = weights.parameter.detach().double().abs(), self._followed.norms.get(layer)
        if norm is None:
            return found
        return found * _column(norm.gain.abs(), weights.spec.outputs, len(weights.spec.shape))

    def _others(self, layer: str, axis: int) -> list[int]:
        return [at for at in range(len(self._weights[layer].spec.shape)) if at != axis]


def _scale(parameter: Any, by: Any) -> None:
    """Multiplies it in place, in float64."""
    parameter.copy_((parameter.double() * by).to(parameter.dtype))


def _column(values: Any, axis: int, rank: int) -> Any:
    column = [1] * rank
    column[axis] = -1
    return values.reshape(column)
