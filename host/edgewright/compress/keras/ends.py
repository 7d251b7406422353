"""What a model's first output is: of a softmax, of a sigmoid, or neither."""

from __future__ import annotations

from typing import Any

from edgewright.compress.keras import weighted_layers

_PASSING = ("Dropout", "Identity", "Flatten", "Reshape")


def of_first(model: Any) -> str:
    """`softmax` (over the last axis), `sigmoid`, or empty if the output is logits, or may be."""
    tensor = model.outputs[0]
    classes = tensor.shape[-1]
    while (name := weighted_layers.class_name(_maker(tensor))) in _PASSING:
        tensor = _node(tensor).input_tensors[0]
        if tensor.shape[-1] != classes:
            return ""
    layer = _maker(tensor)
    function = getattr(getattr(layer, "activation", None), "__name__", "")
    kind = function if function in ("softmax", "sigmoid") else name.lower()
    last = getattr(layer, "axis", -1) in (-1, len(tensor.shape) - 1)
    return kind if kind == "sigmoid" or (kind == "softmax" and last) else ""


def _maker(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _node(tensor: Any) -> Any:
    return _maker(tensor)._inbound_nodes[tensor._keras_history.node_index]
