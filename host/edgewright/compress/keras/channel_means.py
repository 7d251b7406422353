"""The means of layers' output channels, before their activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from edgewright.compress.keras import model_calls, weighted_layers

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BATCH = 32


class ChannelMeans:
    """Of one model.

    Args:
        outputs: `outputs(tensors, training)` runs the model.
    """

    def __init__(self, model: Any, outputs: Callable[..., list[Any]]) -> None:
        self._model, self._outputs = model, outputs
        self._layers = weighted_layers.weighted(model)
        self._run: Callable[[list[Any]], list[Any]] | None = None

    def of(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Layer -> float64 (channels,), over all samples, positions and calls."""
        import numpy as np

        order = np.arange(len(inputs[0]))
        total: list[Array] = []
        for _, tensors in model_calls.batches(self._model, inputs, order, _BATCH):
            values = [one.numpy().astype(np.float64) for one in self._sums()(tensors)]
            total = [one + two for one, two in zip(total, values, strict=True)] if total else values
        return {name: one[:-1] / one[-1] for name, one in zip(self._layers, total, strict=True)}

    def _sums(self) -> Callable[[list[Any]], list[Any]]:
        """Of each channel; and, last, of how many numbers."""
        import tensorflow as tf

        def run(tensors: list[Any]) -> list[Any]:
            found: dict[str, list[Any]] = {name: [] for name in self._layers}
            with ExitStack() as stack:
                for name, layer in self._layers.items():
                    stack.enter_context(_noted(layer, found[name]))
                self._outputs(tensors, training=False)
            return [tf.add_n(one) for one in found.values()]

        if self._run is None:
            signature = [model_calls.signature(self._model)]
            self._run = tf.function(run, input_signature=signature, autograph=False)
        return self._run


@contextmanager
def _noted(layer: Any, sums: list[Any]) -> Iterator[None]:
    """Notes the sums of what a layer gives to its activation while the context lasts."""
    import tensorflow as tf

    own = layer.activation

    def noted(tensor: Any) -> Any:
        rank = len(tensor.shape)
        axis = weighted_layers.channel_axis(layer, rank)
        values = tf.cast(tensor, tf.float32)
        count = tf.size(values) / tf.shape(values)[axis]
        total = tf.reduce_sum(values, [at for at in range(rank) if at != axis])
        sums.append(tf.concat([total, [tf.cast(count, tf.float32)]], 0))
        return own(tensor)

    layer.activation = noted
    try:
        yield
    finally:
        layer.activation = own
