"""Opens a Keras file as a functional model of Keras 3 whose graph has no nested models and an open batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.compile.sources import keras_file
from edgewright.compress.keras import graph
from edgewright.errors import Code, ModelError

_REWRITE = (
    "build it with keras.Input and keras.Model(inputs, outputs), load its weights into that and save it"
)
_TOLERANCE = 1e-4


def open_model(path: Path) -> Any:
    """The model of a `.keras` or `.h5` file.

    Raises:
        ModelError: it cannot be read, holds code, has no graph of layers, or only Keras 2 computes it.
    """
    model, reader = keras_file.load(path)
    if reader:
        model = _upgraded(model, path)
    if not graph.nested(model) or not getattr(model, "inputs", None):
        raise ModelError(
            f"Keras model is not made of layers between inputs and outputs: {path.name}", hint=_REWRITE
        )
    if model.inputs[0].shape[0] is None and not _sequential(model) and not _has_nested(model):
        return model
    return _checked(model, _flat(model), path)


def _sequential(model: Any) -> bool:
    import keras

    return isinstance(model, keras.Sequential)


def _has_nested(model: Any) -> bool:
    return any(graph.nested(layer) for layer in graph.layers(graph.graph_of(model)))


def _flat(model: Any) -> Any:
    """The same model with the layers of nested models in its own graph, under unique names."""
    taken: dict[str, int] = {}
    pairs: list[tuple[Any, Any]] = []

    def copy(operation: Any) -> Any:
        name, count = operation.name, taken.get(operation.name, 0)
        taken[name] = count + 1
        made = graph.fresh(operation, name=f"{name}_{count}") if count else graph.fresh(operation)
        pairs.append((operation, made))
        return made

    made = graph.rebuild(model, copy)
    for old, new in pairs:
        if getattr(old, "weights", ()):
            graph.give_weights(new, old.get_weights())
    return made


def _upgraded(old: Any, path: Path) -> Any:
    """A model that only tf-keras reads, in Keras 3: the settings that Keras 3 does not know and that change nothing are left out."""
    import keras

    error = ModelError(
        f"Keras 3 cannot compute {path.name}, which Keras 2 wrote",
        hint="rebuild the model with Keras 3, load its weights into it and save it as .keras",
        code=Code.MODEL_UNREADABLE,
    )
    config = json.loads(old.to_json())
    for layer in _entries(config):
        _modernise(layer["class_name"], layer["config"])
    try:
        kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
        model = kind.from_config(config["config"])
        for layer in old.layers:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    except Exception as raised:
        raise error from raised
    return _checked(old, model, path)


def _modernise(kind: str, config: dict[str, Any]) -> None:
    """Writes a layer's settings as Keras 3 does."""
    if config.get("groups") == 1 and kind.startswith(("Depthwise", "Separable")):
        del config["groups"]
    axis = config.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if isinstance(config.get("config"), dict) and "class_name" in config:
            yield config
        for value in config.values():
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _checked(old: Any, new: Any, path: Path) -> Any:
    """The new model, if it answers as the old one does."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    arrays = []
    for tensor in old.inputs:
        shape = [size or 1 for size in tensor.shape]
        numbers = rng.random(shape) if tf.as_dtype(tensor.dtype).is_floating else np.zeros(shape)
        arrays.append(tf.cast(numbers, tensor.dtype))
    pairs = zip(_answers(old, arrays), _answers(new, arrays), strict=True)
    if all(np.allclose(one, two, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True) for one, two in pairs):
        return new
    raise ModelError(f"Keras model computes something else as a plain graph: {path.name}", hint=_REWRITE)


def _answers(model: Any, arrays: list[Any]) -> list[Any]:
    import numpy as np
    import tensorflow as tf

    plain = graph.graph_of(model)
    taken = getattr(plain, "_inputs_struct", getattr(plain, "_nested_inputs", plain.inputs))
    given = tf.nest.pack_sequence_as(taken, arrays)
    return [np.asarray(one) for one in tf.nest.flatten(model(given, training=False))]
