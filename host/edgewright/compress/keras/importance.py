"""How important weights and channels are, measured with data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compress.keras import graph, losses, model_calls, weighted_layers

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BATCH = 32


def taylor(model: Any, inputs: Sequence[Array], labels: Array, loss: str, ends: str) -> dict[str, Array]:
    """|gradient * weight| of each element of main weights, summed over batches of 32; float32."""
    import tensorflow as tf

    layers = weighted_layers.weighted(model)
    mains = [weighted_layers.main_weights(layer).value for layer in layers.values()]

    def measure(tensors: list[Any], given: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(mains)  # also those that are not trained
            output = model_calls.outputs(model, tensors, training=False)[0]
            value = losses.of_labels(losses.logits(output, ends, loss), given, loss)
        pairs = zip(tape.gradient(value, mains), mains, strict=True)
        return [
            tf.abs(tf.cast(slope * one, tf.float32)) if slope is not None else tf.zeros_like(one, tf.float32)
            for slope, one in pairs
        ]

    run = tf.function(measure, autograph=False, reduce_retracing=True)
    total = _summed(model, inputs, lambda rows, tensors: run(tensors, tf.constant(labels[rows])))
    return dict(zip(layers, total, strict=True))


def activation(model: Any, inputs: Sequence[Array]) -> dict[str, Array]:
    """The mean |output| of each output channel of each weighted layer, over its calls; float32."""
    import keras
    import tensorflow as tf

    layers = weighted_layers.weighted(model)
    calls = graph.uses(model)
    tensors_of = [calls[name][at].outputs[0] for name in layers for at in range(len(calls[name]))]
    owners = [name for name in layers for _ in calls[name]]
    inside = keras.Model(model._inputs_struct, tensors_of)
    axes = [
        weighted_layers.channel_axis(layers[name], len(one.shape))
        for name, one in zip(owners, tensors_of, strict=True)
    ]

    def measure(tensors: list[Any]) -> list[Any]:
        answers = model_calls.outputs(inside, tensors, training=False)
        return [
            tf.cast(tf.shape(one)[0], tf.float32)
            * tf.reduce_mean(
                tf.abs(tf.cast(one, tf.float32)), [at for at in range(len(one.shape)) if at != axis]
            )
            for one, axis in zip(answers, axes, strict=True)
        ]

    run = tf.function(measure, autograph=False, reduce_retracing=True)
    total = _summed(model, inputs, lambda _, tensors: run(tensors))
    found: dict[str, Array] = {}
    for name, values in zip(owners, total, strict=True):
        share = values / (len(inputs[0]) * len(calls[name]))
        found[name] = found[name] + share if name in found else share
    return found


def _summed(model: Any, inputs: Sequence[Array], run: Callable[[Array, list[Any]], list[Any]]) -> list[Array]:
    """The sums over all batches."""
    import numpy as np

    order = np.arange(len(inputs[0]))
    total: list[Array] = []
    for rows, tensors in model_calls.batches(model, inputs, order, _BATCH):
        values = [one.numpy() for one in run(rows, tensors)]
        total = [one + two for one, two in zip(total, values, strict=True)] if total else values
    return total
