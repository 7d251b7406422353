"""Weights and biases of weighted layers, with the batch normalisations that converters fold into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.compress.keras import folded_norms, weighted_layers

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class LayerWeights:
    """Of one model. Satisfies `channel_flow.ScalableLayers`.

    Attributes:
        norms: layer -> the batch normalisation folded into it.
    """

    def __init__(self, model: Any) -> None:
        self.norms: Mapping[str, Any] = folded_norms.folded(model)
        self._layers = weighted_layers.weighted(model)

    def bias(self, layer: str) -> Any:
        """The variable that is added to the output channels; None if there is none."""
        norm = self.norms.get(layer)
        return norm.beta if norm is not None else self._layers[layer].bias

    def folded(self, layer: str, means: Array) -> Array:
        """The means of a layer's outputs behind the batch normalisation folded into it."""
        if layer not in self.norms:
            return means
        norm = self.norms[layer]
        centred = (means - norm.moving_mean.numpy()) * folded_norms.gain(norm)
        found: Array = centred if norm.beta is None else centred + norm.beta.numpy()
        return found

    def made_range(self, layer: str) -> Array:
        """See `channel_flow.ScalableLayers`."""
        import numpy as np

        variable, axes = weighted_layers.kernels(self._layers[layer])[0]
        found: Array = np.abs(variable.numpy().astype(np.float64)).max(tuple(axes)).reshape(-1)
        folded: Array = found * np.abs(self._gain(layer))
        return folded

    def read_range(self, layer: str) -> Array:
        """See `channel_flow.ScalableLayers`."""
        import numpy as np

        variable, axis = self._reading(layer)
        kernel = np.abs(variable.numpy().astype(np.float64))
        if variable is weighted_layers.main_weights(self._layers[layer]):
            kernel = kernel * self._spread(layer, np.abs(self._gain(layer)))
        found: Array = kernel.max(tuple(at for at in range(kernel.ndim) if at != axis))
        return found

    def divide(self, layer: str, factors: Array) -> None:
        """See `channel_flow.ScalableLayers`."""
        if layer in self.norms:
            norm = self.norms[layer]
            variables = [(norm.gamma, factors), (norm.beta, factors)]
        else:
            one = self._layers[layer]
            variables = [
                (weighted_layers.main_weights(one), self._spread(layer, factors)),
                (one.bias, factors),
            ]
        for variable, by in variables:
            if variable is not None:
                variable.assign((variable.numpy() / by).astype(variable.dtype))

    def multiply(self, layer: str, factors: Array) -> None:
        """See `channel_flow.ScalableLayers`."""
        variable, axis = self._reading(layer)
        column = [1] * len(variable.shape)
        column[axis] = -1
        variable.assign((variable.numpy() * factors.reshape(column)).astype(variable.dtype))

    def _gain(self, layer: str) -> Any:
        return folded_norms.gain(self.norms[layer]) if layer in self.norms else 1.0

    def _reading(self, layer: str) -> tuple[Any, int]:
        """The weights that read the input's channels, and their axis."""
        one = self._layers[layer]
        if hasattr(one, "pointwise_kernel"):
            return one.depthwise_kernel, len(one.depthwise_kernel.shape) - 2
        described = weighted_layers.described(one)
        axis = described.outputs if described.inputs is None else described.inputs
        return weighted_layers.main_weights(one), axis

    def _spread(self, layer: str, values: Any) -> Any:
        """Values per output channel in a shape that fits the main weights."""
        import numpy as np

        described = weighted_layers.described(self._layers[layer])
        if np.ndim(values) == 0:
            return values
        if described.inputs is None:  # each channel has as many outputs as the last axis is long
            return values.reshape(described.shape[-2:])
        column = [1] * len(described.shape)
        column[described.outputs] = -1
        return values.reshape(column)
