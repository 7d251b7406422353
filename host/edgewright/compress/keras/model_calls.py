"""Calls a model with flat lists of tensors, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from edgewright.compress.keras import graph

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Outputs(Protocol):
    """Runs a model on the tensors of a batch."""

    def __call__(self, tensors: Sequence[Any], *, training: bool, layers: Sequence[str] = ()) -> list[Any]:
        """All outputs, flat, then those of layers."""


def outputs(model: Any, tensors: Sequence[Any], training: bool, layers: Sequence[str] = ()) -> list[Any]:
    """All outputs, flat, then those of layers."""
    import keras

    if layers:
        model = keras.Model(model._inputs_struct, graph.ends(model, layers))
    given = keras.tree.pack_sequence_as(model._inputs_struct, list(tensors))
    return list(keras.tree.flatten(model(given, training=training)))


def predictor(model: Any, run: Outputs, layers: Sequence[str]) -> Callable[[list[Any]], list[Any]]:
    """Flat inputs of a batch of any size -> all outputs in inference mode, then those of layers; float32."""
    import tensorflow as tf

    def answer(tensors: list[Any]) -> list[Any]:
        return [tf.cast(one, tf.float32) for one in run(tensors, training=False, layers=layers)]

    return tf.function(answer, input_signature=[signature(model)], autograph=False)  # type: ignore[no-any-return]


def signature(model: Any) -> list[Any]:
    """Of a function that takes all inputs of a batch of any size."""
    import tensorflow as tf

    return [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]


def batches(
    model: Any, arrays: Sequence[Array], order: Array, size: int
) -> Iterator[tuple[Array, list[Any]]]:
    """(positions, tensors of the model's dtypes) of each batch; the last may be smaller."""
    import tensorflow as tf

    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield (
            rows,
            [tf.cast(one[rows], tensor.dtype) for one, tensor in zip(arrays, model.inputs, strict=True)],
        )
