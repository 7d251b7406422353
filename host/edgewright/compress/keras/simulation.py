"""Simulates int8 inference of a Keras model: runs its graph with rounded weights and tensors. See `Network.simulate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgewright.compress.keras import graph, model_calls, weighted_layers
from edgewright.compress.keras.rounding_points import RoundingPoints

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BATCH = 32
_MOST = 127  # of int8; -128 is not used by weights
_SMALLEST = 1e-9  # width of a range: a tensor may be zero everywhere
_Visit = Callable[[int, Any], Any]


class Simulation:
    """One model with the samples that ranges are measured with.

    Args:
        ends: of the first output, as `ends.of_first` says. While training, probabilities are not rounded: the loss takes their logarithm.
    """

    def __init__(self, model: Any, ends: str, samples: Sequence[Array]) -> None:
        import tensorflow as tf

        self.samples = [array.copy() for array in samples]
        self.fresh = False  # whether the ranges are those of the weights
        self._model = model
        self._points = RoundingPoints(model)
        self._exact = self._points.places.get(id(model.outputs[0])) if ends else None
        self._ranges = tf.Variable(tf.zeros((2, self._points.count)))
        self._measuring: Callable[[list[Any]], Any] | None = None

    def outputs(self, tensors: Sequence[Any], training: bool, layers: Sequence[str] = ()) -> list[Any]:
        """All outputs, flat, then those of layers: what `model_calls.outputs` does, rounded."""

        def rounded(number: int, tensor: Any) -> Any:
            if training and number == self._exact:
                return tensor
            return _rounded(tensor, self._ranges[0, number], self._ranges[1, number])

        values = self._run(tensors, rounded, training, weights=True)
        return [values[id(tensor)] for tensor in graph.ends(self._model, layers)]

    def measure(self) -> None:
        """Measures the ranges of all tensors of the float network, if the weights have changed."""
        import numpy as np

        if self.fresh:
            return
        low, high = np.zeros(self._points.count, "float32"), np.zeros(self._points.count, "float32")
        order = np.arange(len(self.samples[0]))
        for _, tensors in model_calls.batches(self._model, self.samples, order, _BATCH):
            least, most = self._measure()(tensors)
            low, high = np.minimum(low, least.numpy()), np.maximum(high, most.numpy())
        self._ranges.assign(np.stack([low, np.maximum(high, low + _SMALLEST)]))
        self.fresh = True

    def _measure(self) -> Callable[[list[Any]], Any]:
        import tensorflow as tf

        def ranges(tensors: list[Any]) -> Any:
            found = [(tf.constant(0.0), tf.constant(0.0))] * self._points.count

            def note(number: int, tensor: Any) -> Any:
                values = tf.cast(tensor, tf.float32)
                found[number] = tf.reduce_min(values), tf.reduce_max(values)
                return tensor

            self._run(tensors, note, training=False, weights=False)
            return tf.stack([low for low, _ in found]), tf.stack([high for _, high in found])

        if self._measuring is None:
            signature = [model_calls.signature(self._model)]
            self._measuring = tf.function(ranges, input_signature=signature, autograph=False)
        return self._measuring

    def _run(self, tensors: Sequence[Any], visit: _Visit, training: bool, *, weights: bool) -> dict[int, Any]:
        """Runs the graph; `visit(number, tensor)` returns what goes on in place of a tensor that runtimes round.

        Returns:
            id of a symbolic tensor -> its value.
        """
        places, inner = self._points.places, self._points.inner

        def seen(symbol: Any, tensor: Any) -> Any:
            return visit(places[id(symbol)], tensor) if id(symbol) in places else tensor

        values = {id(old): seen(old, new) for old, new in zip(self._model.inputs, tensors, strict=True)}
        for node in graph.calls(self._model):
            args, kwargs = node.arguments.fill_in(values)
            if graph.takes_training(node.operation):
                kwargs["training"] = training
            before = inner.get(id(node))
            with _rounded_weights(node.operation, weights), _watched(node.operation, before, visit):
                answer = node.operation(*args, **kwargs)
            for old, new in zip(node.outputs, graph.flattened(answer), strict=True):
                values[id(old)] = _with_mask(seen(old, new), new)
        return values


@contextmanager
def _rounded_weights(layer: Any, wanted: bool) -> Iterator[None]:
    """Lets a weighted layer see rounded weights while the context lasts."""
    import keras

    if not wanted or weighted_layers.form(layer) is None:
        yield
        return
    pairs = [
        (variable, _rounded_kernel(variable.value, axes)) for variable, axes in weighted_layers.kernels(layer)
    ]
    with keras.StatelessScope(state_mapping=pairs):
        yield


@contextmanager
def _watched(layer: Any, number: int | None, visit: _Visit) -> Iterator[None]:
    """Lets `visit` see the tensor before a layer's activation while the context lasts."""
    if number is None:
        yield
        return
    own = layer.activation
    layer.activation = lambda tensor: own(visit(number, tensor))
    try:
        yield
    finally:
        layer.activation = own


def _rounded_kernel(values: Any, axes: Sequence[int]) -> Any:
    """Weights with 255 levels per channel; gradients pass.

    Args:
        axes: all that are not of output channels.
    """
    import tensorflow as tf

    exact = tf.cast(values, tf.float32)
    scale = tf.maximum(tf.reduce_max(tf.abs(exact), axes, keepdims=True), _SMALLEST) / _MOST
    found = tf.round(exact / scale) * scale
    return tf.cast(exact + tf.stop_gradient(found - exact), values.dtype)


def _rounded(tensor: Any, low: Any, high: Any) -> Any:
    """A tensor with 256 levels between two values, one of them zero."""
    import tensorflow as tf

    found = tf.quantization.fake_quant_with_min_max_vars(tf.cast(tensor, tf.float32), low, high)
    return tf.cast(found, tensor.dtype)


def _with_mask(tensor: Any, origin: Any) -> Any:
    mask = getattr(origin, "_keras_mask", None)
    if mask is not None and tensor is not origin:
        tensor._keras_mask = mask
    return tensor
