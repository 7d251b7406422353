"""Measures the statistics of batch normalisations again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from edgewright.compress.keras import graph, model_calls, weighted_layers


class BatchStatistics:
    """Replaces moving averages by means over batches.

    After pruning, the moving averages are those of another network, and an epoch of few steps hardly moves them: the network then
    answers at random although its loss falls. Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3.1.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._layers = [
            layer
            for layer in graph.layers(model)
            if weighted_layers.class_name(layer) == "BatchNormalization" and layer.trainable
        ]
        self._run: Callable[[list[Any]], None] | None = None
        self._share: Any = None

    def measure(self, batches: Iterable[list[Any]]) -> None:
        """Takes the means over these batches, each a list of input tensors. Frozen normalisations stay as they are."""
        import tensorflow as tf

        if not self._layers:
            return
        before = [layer.momentum for layer in self._layers]
        if self._share is None:
            self._share = tf.Variable(0.0)
        try:
            for number, tensors in enumerate(batches):
                self._share.assign(number / (number + 1))
                self._step()(tensors)
        finally:
            for layer, momentum in zip(self._layers, before, strict=True):
                layer.momentum = momentum

    def _step(self) -> Callable[[list[Any]], None]:
        import tensorflow as tf

        def run(tensors: list[Any]) -> None:
            for layer in self._layers:  # the graph then reads it at each batch; the layer gets its own back
                layer.momentum = self._share.value()
            model_calls.outputs(self._model, tensors, training=True)

        if self._run is None:
            self._run = tf.function(
                run, input_signature=[model_calls.signature(self._model)], autograph=False
            )
        return self._run
