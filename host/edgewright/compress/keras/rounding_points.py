"""Where an int8 runtime rounds the tensors of a functional graph: fused activations and normalisations share the tensor of their layer."""

from __future__ import annotations

from typing import Any

from edgewright.compress.keras import graph, weighted_layers

_FUSED = ("relu", "relu6")
# they only move values, so their results have the levels of their inputs
_MOVING = (
    "Flatten", "Reshape", "Permute", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization", "Identity", "RepeatVector", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling3D", "Transpose",
    "Squeeze", "ExpandDims",
)  # fmt: skip
_BEFORE_RELU = ("Add", "Subtract", "Multiply", "BatchNormalization")  # converters fuse a ReLU into these


class RoundingPoints:
    """The tensors of a graph that are rounded.

    Attributes:
        places: id of a symbolic tensor -> its number.
        inner: id of a call of a layer -> the number of the tensor before the activation that the layer ends with, if a runtime has one.
        count: of all numbers.
    """

    def __init__(self, model: Any) -> None:
        self.places: dict[int, int] = {}
        self.inner: dict[int, int] = {}
        self.count = 0
        self._readers: dict[int, list[Any]] = {}
        self._makers: dict[int, Any] = {}
        self._outputs = {id(tensor) for tensor in model.outputs}
        every = list(graph.calls(model))
        for node in every:
            for tensor in node.input_tensors:
                self._readers.setdefault(id(tensor), []).append(node)
            for tensor in node.outputs:
                self._makers[id(tensor)] = node
        for tensor in model.inputs:
            self._place(tensor)
        for node in every:
            if _ends_apart(node.operation):
                self.inner[id(node)] = self._number()
            if not self._passes(node):
                for tensor in node.outputs:
                    self._place(tensor)

    def _number(self) -> int:
        self.count += 1
        return self.count - 1

    def _place(self, tensor: Any) -> None:
        if "float" in str(tensor.dtype):
            self.places[id(tensor)] = self._number()

    def _passes(self, node: Any) -> bool:
        """Whether a call's result is not rounded: it has the levels of its input, or the next call is fused with it."""
        layer = node.operation
        if _kind(layer) in _MOVING or getattr(layer, "interpolation", "") == "nearest":
            return True
        after = self._readers.get(id(node.outputs[0]), [])
        if len(node.outputs) != 1 or len(after) != 1 or id(node.outputs[0]) in self._outputs:
            return False
        following = after[0].operation
        linear = getattr(getattr(layer, "activation", None), "__name__", "linear") == "linear"
        if weighted_layers.form(layer) and linear:
            return _kind(following) == "BatchNormalization" or _is_relu(following)
        return _kind(layer) in _BEFORE_RELU and _is_relu(following)


def _kind(operation: Any) -> str:
    return weighted_layers.class_name(operation)


def _ends_apart(operation: Any) -> bool:
    """Whether a layer ends with an activation that runtimes compute on its own."""
    function = getattr(getattr(operation, "activation", None), "__name__", "linear")
    return weighted_layers.form(operation) is not None and function not in ("linear", *_FUSED)


def _is_relu(operation: Any) -> bool:
    if _kind(operation) == "ReLU" and hasattr(operation, "negative_slope"):
        return not operation.negative_slope and not operation.threshold and operation.max_value in (None, 6)
    if _kind(operation) == "Activation":
        return getattr(operation.activation, "__name__", "") in _FUSED
    return _kind(operation) in ("Relu", "Relu6")
