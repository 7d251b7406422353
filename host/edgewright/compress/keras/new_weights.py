"""The same model with new weights, as its layers' initialisers draw them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgewright.compress.keras import graph, weighted_layers

_KERNELS = ("kernel_initializer", "depthwise_initializer", "pointwise_initializer")
_FIXED = ("Constant", "Zeros", "Ones")  # converters write weights, or nothing, where an initialiser belongs


def renewed(model: Any, seed: int) -> tuple[Any, dict[str, str]]:
    """The model with new weights, and layer -> why it keeps its weights.

    Kernels whose initialiser is a constant are drawn as Keras does by default (Glorot and Bengio, "Understanding the difficulty of training
    deep feedforward neural networks", 2010): otherwise all channels of a layer would learn the same.
    """
    pairs: list[tuple[Any, Any]] = []

    def copy(operation: Any) -> Any:
        made = graph.fresh(operation, **_drawn(operation))
        pairs.append((operation, made))
        return made

    with _seeded(seed):
        made = graph.rebuild(model, copy)
    kept: dict[str, str] = {}
    for old, new in pairs:
        if getattr(old, "weights", ()) and not _learns(old):
            graph.give_weights(new, old.get_weights())
            kept[old.name] = "it is not trained"
    return made, kept


def _learns(layer: Any) -> bool:
    """Whether training changes a layer's weights; others, such as a mean of the data, could not be learnt again."""
    normalises = weighted_layers.class_name(layer) == "BatchNormalization"
    return bool(layer.trainable_weights) or (normalises and layer.trainable)


def _drawn(operation: Any) -> dict[str, Any]:
    """The changes to a layer's configuration."""
    config = operation.get_config() if weighted_layers.form(operation) else {}
    found = {key: config[key] for key in _KERNELS if isinstance(config.get(key), dict)}
    return {key: "glorot_uniform" for key, value in found.items() if value.get("class_name") in _FIXED}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Initialisers without a seed take theirs from Python's random numbers."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
