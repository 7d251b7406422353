"""Losses in TensorFlow, on logits, and those of users, on outputs as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.compress import training_functions
from edgewright.errors import DataError

_SMALLEST = 1e-37  # log of it is finite; the gradient of log p through a softmax is exact down to it
_MARGIN = 1e-7  # 1 - p has no finer steps in float32
_RETURN = "return one float per sample, shape (n,), made by TensorFlow's operations"


def logits(output: Any, ends: str, loss: str) -> Any:
    """What a model's first output is before its softmax or sigmoid, float32.

    Args:
        ends: `softmax`, `sigmoid` or empty, if the output is logits.
        loss: `binary_cross_entropy` takes each number as a separate probability, also one of a softmax. A user's function takes the
            output as it is.
    """
    import tensorflow as tf

    if training_functions.is_own(loss):
        return output
    values = tf.cast(output, tf.float32)
    if not ends or loss == "mse":
        return values
    if ends == "softmax" and loss == "cross_entropy":
        return tf.math.log(tf.maximum(values, _SMALLEST))
    inside = tf.clip_by_value(values, _MARGIN, 1 - _MARGIN)
    return tf.math.log(inside) - tf.math.log1p(-inside)


def of_labels(values: Any, labels: Any, loss: str) -> Any:
    """The mean loss over the batch.

    Args:
        values: (n, ..., classes) logits; for `mse` the output.
        labels: `cross_entropy`: int (n, ...); `binary_cross_entropy`: 0 or 1, as many as values; `mse`: as many as values.
            A user's function: as in the data, int64 or float32.

    Raises:
        DataError: a user's function fails or returns no loss.
    """
    import tensorflow as tf

    if training_functions.is_own(loss):
        return _of_user(values, labels, loss)
    if loss == "cross_entropy":
        classes = tf.reshape(tf.cast(labels, tf.int64), tf.shape(values)[:-1])
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=values))
    wanted = tf.reshape(tf.cast(labels, tf.float32), tf.shape(values))
    if loss == "binary_cross_entropy":
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=values))
    return tf.reduce_mean(tf.square(values - wanted))


def _of_user(output: Any, labels: Any, loss: str) -> Any:
    """The mean of what a user's function returns: one value a sample, or their mean."""
    import tensorflow as tf

    name = f"loss {training_functions.shown(loss)}"
    shapes = " and ".join(
        f"{one.dtype.name} of shape {('n', *one.shape[1:])}".replace("'", "") for one in (labels, output)
    )
    sources = [output, *_logits_of(output)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        found = training_functions.call(
            "loss", loss, labels, output, hint=f"it is called with {shapes}; use TensorFlow's operations"
        )
        if not tf.is_tensor(found) or not found.dtype.is_floating or found.shape.rank is None:
            raise DataError(f"{name} returned {training_functions.kind_of(found)}", hint=_RETURN)
    if found.shape.rank and found.shape[0] not in (None, output.shape[0]):
        raise DataError(f"{name} returned a tensor of shape {found.shape}", hint=_RETURN)
    if all(gradient is None for gradient in tape.gradient(found, sources)):
        raise DataError(
            f"{name} does not depend on the network's output by operations with a gradient", hint=_RETURN
        )
    return tf.reduce_mean(tf.cast(found, tf.float32))


def _logits_of(output: Any) -> list[Any]:
    """What a softmax or sigmoid made the output of: Keras's own losses read that in place of the output."""
    kept = getattr(output, "_keras_logits", None)
    operation = getattr(output, "op", None)  # None if it is run without a graph
    inputs = operation.inputs if operation is not None and operation.type in ("Softmax", "Sigmoid") else ()
    return [*([] if kept is None else [kept]), *inputs]


def of_teacher(values: Any, taught: Any, loss: str, temperature: Any) -> Any:
    """T^2 * KL(teacher at T || student at T), the mean over the batch; for `mse` the mean square between both outputs.

    Two values, p and 1 - p, are what a KL divergence compares for `binary_cross_entropy`.
    """
    import tensorflow as tf

    if loss == "mse":
        return tf.reduce_mean(tf.square(values - taught))
    student, teacher = values / temperature, taught / temperature
    if loss == "binary_cross_entropy":
        student, teacher = (tf.stack([one, tf.zeros_like(one)], -1) for one in (student, teacher))
    log_p, log_q = tf.nn.log_softmax(teacher), tf.nn.log_softmax(student)
    return temperature**2 * tf.reduce_mean(tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), -1))


def of_hints(student: Sequence[Any], teacher: Sequence[Any]) -> Any:
    """The term of hints, see `Network.train`: the mean over pairs of outputs, each (n, ...), of any sizes."""
    import tensorflow as tf

    terms = [
        tf.reduce_mean(tf.reduce_sum(tf.square(_similarity(one) - _similarity(two)), -1))
        for one, two in zip(student, teacher, strict=True)
    ]
    return tf.add_n(terms) / len(terms)


def _similarity(output: Any) -> Any:
    """Inner products of the samples of a batch with each other, (n, n); each row has length 1."""
    import tensorflow as tf

    flat = tf.reshape(tf.cast(output, tf.float32), [tf.shape(output)[0], -1])
    return tf.math.l2_normalize(tf.matmul(flat, flat, transpose_b=True), -1)
