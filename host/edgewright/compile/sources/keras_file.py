"""Opens Keras files: by Keras 3, or by tf-keras what Keras 2 wrote and Keras 3 refuses."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.compile.shapes import static_shapes
from edgewright.compile.sources.names import clean, said
from edgewright.compile.sources.tensorflow_model import TensorflowModel, dtype
from edgewright.errors import ConversionError, ModelError
from edgewright.nouns.artifact import TensorSpec

_EXPORT = "export it with model.export(folder), where the layers' code is at hand, and give that folder"


def open_file(path: Path, shapes: dict[str, tuple[int, ...]]) -> TensorflowModel:
    """Opens a `keras` or `h5` source. Raises ModelError as `tensorflow.open_model` does."""
    model, reader = _load(path)
    tensors = list(getattr(model, "inputs", None) or [])
    if not tensors:
        raise ModelError(
            f"Keras model does not say what its inputs are: {path.name}",
            hint="build it with an Input layer, or export it as a SavedModel with model.export(folder)",
        )
    names = clean([getattr(tensor, "name", "input") for tensor in tensors])
    fixed = static_shapes({name: list(t.shape) for name, t in zip(names, tensors, strict=True)}, shapes)
    specs = [
        TensorSpec(name=name, shape=fixed[name], dtype=dtype(tensor.dtype))
        for name, tensor in zip(names, tensors, strict=True)
    ]
    outputs = clean(list(getattr(model, "output_names", None) or [t.name for t in model.outputs]))

    def call(*arrays: Any) -> Any:
        return model(arrays[0] if len(arrays) == 1 else list(arrays), training=False)

    made = TensorflowModel(call, specs, outputs, model)
    made.notes = (f"opened by {reader}, Keras 3 refuses the file",) if reader else ()
    return made


def _load(path: Path) -> tuple[Any, str]:
    """(model, what opened it instead of Keras 3). Code that a file carries (lambda layers) is never run."""
    import keras

    config = _config(path)
    if any(
        layer.get("class_name") in ("Lambda", "TFOpLambda") and _is_code(layer) for layer in _layers(config)
    ):
        raise ModelError(
            f"Keras file holds Python code, a lambda layer: {path.name}", hint=_EXPORT, code="model-refused"
        )
    try:
        return keras.models.load_model(path, compile=False), ""
    except Exception as error:  # noqa: BLE001 - Keras raises many kinds
        raised: Exception = error
    if path.suffix.lower() != ".keras":
        legacy = _load_legacy(path, raised)
        if legacy is not None:
            return legacy, "tf-keras"
    raise _refusal(path, raised, config) from raised


def _load_legacy(path: Path, first: Exception) -> Any:
    """By tf-keras, Keras 2's own reader; None where it refuses too, since Keras 3's error is the one to report."""
    try:
        tf_keras = importlib.import_module("tf_keras")
    except ImportError as error:
        if "DepthwiseConv2D" not in str(first):
            return None
        raise ConversionError(
            f"tf-keras is not installed, which the Keras 2 file {path.name} needs",
            hint="pip install 'edgewright[tflite]'",
            code="tool-missing",
        ) from error
    try:
        return tf_keras.models.load_model(path, compile=False)
    except Exception:  # noqa: BLE001 - Keras 3's error is the one to report
        return None


def _refusal(path: Path, error: Exception, config: dict[str, Any]) -> ModelError:
    """The error for a file that no Keras reads; layers of the user's own are named."""
    own = sorted({_own_class(layer) for layer in _layers(config)} - {""})
    unknown = [name for name in own if name in str(error)] or (own if "registered" in str(error) else [])
    if unknown:
        return ModelError(
            f"Keras file has layers of its author's own: {', '.join(unknown)}",
            hint=f"their code is not in the file; {_EXPORT}",
            code="model-custom-layer",
        )
    if path.suffix.lower() != ".keras" and not config:
        return ModelError(
            f"Keras file holds weights alone: {path.name}",
            hint="save the whole model with model.save(file), not save_weights",
            code="model-unreadable",
        )
    return ModelError(
        f"Keras cannot load {path.name}: {said(error)}",
        hint=f"it may be of another version of Keras; {_EXPORT}",
        code="model-unreadable",
    )


def _config(path: Path) -> dict[str, Any]:
    """The model's configuration as the file has it; empty where it has none."""
    import zipfile

    import h5py

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                text: Any = archive.read("config.json")
        else:
            with h5py.File(path, "r") as file:
                text = file.attrs.get("model_config", "{}")
        found = json.loads(text)
    except (OSError, ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that has a class, nested ones too."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from _layers(value)


def _is_code(layer: dict[str, Any]) -> bool:
    """Whether a lambda layer holds bytecode, rather than the name of a known function."""
    function = (layer.get("config") or {}).get("function")
    return not isinstance(function, str) and layer.get("class_name") == "Lambda"


def _own_class(layer: dict[str, Any]) -> str:
    """A class's name where it is not one of Keras's own, else empty."""
    module, name = layer.get("module"), layer["class_name"]
    if module is not None:
        return (
            "" if str(module).split(".")[0] in ("keras", "builtins", "tf_keras", "tensorflow") else str(name)
        )
    known = ("keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints")
    places = [
        importlib.import_module(place) for place in (*known, "keras.activations", "keras.dtype_policies")
    ]
    return "" if any(hasattr(place, str(name)) for place in places) or name == "__tuple__" else str(name)
