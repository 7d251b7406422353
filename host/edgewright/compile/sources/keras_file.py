"""Opens Keras files: with Keras 3, or with tf-keras if Keras 2 wrote them and Keras 3 refuses."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgewright.compile.inspection import hdf5_file
from edgewright.compile.inspection.model_trust import refuse_untrusted, trusted
from edgewright.compile.sources import nondeterminism
from edgewright.compile.sources.names import given_shapes, of_path, paths, unique
from edgewright.compile.sources.shapes import static_shapes
from edgewright.compile.sources.tensorflow_model import TensorflowModel, dtype
from edgewright.compile.workers.framework_errors import telling
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec

_WEIGHTS = "model.weights.h5"
_EXPORT = "export it with model.export(folder), where the layers' code is at hand, and give that folder"


def open_file(path: Path, shapes: dict[str, tuple[int, ...]]) -> TensorflowModel:
    """Opens a `keras` or `h5` source. Raises ModelError as `tensorflow.open_model` does."""
    model, reader = load(path)
    taken = _structure(model, "inputs")
    specs, fixed_notes = input_specs(model, path, shapes)

    def call(*arrays: Any) -> Any:
        return model(_packed(taken, arrays), training=False)

    made = TensorflowModel(call, specs, output_names(model), model)
    made.notes = (*((f"opened by {reader}, Keras 3 refuses the file",) if reader else ()), *fixed_notes)
    return made


def output_names(model: Any) -> list[str]:
    """Names of a model's outputs."""
    given = list(getattr(model, "output_names", None) or [tensor.name for tensor in model.outputs])
    return _names(_structure(model, "outputs"), given)


def input_specs(
    model: Any, path: Path, shapes: dict[str, tuple[int, ...]]
) -> tuple[list[TensorSpec], tuple[str, ...]]:
    """Names, fixed shapes and dtypes of a model's inputs, and the assumptions made. Raises ModelError as `open_file` does."""
    tensors = list(getattr(model, "inputs", None) or [])
    if not tensors:
        raise ModelError(
            f"Keras model does not say what its inputs are: {path.name}",
            hint="build it with an Input layer, or export it as a SavedModel with model.export(folder)",
        )
    names = _names(_structure(model, "inputs"), [getattr(tensor, "name", "input") for tensor in tensors])
    axes = {name: list(tensor.shape) for name, tensor in zip(names, tensors, strict=True)}
    fixed = static_shapes(axes, given_shapes(shapes, names))
    specs = [
        TensorSpec(name=name, shape=fixed.shapes[name], dtype=dtype(tensor.dtype, name))
        for name, tensor in zip(names, tensors, strict=True)
    ]
    return specs, tuple(fixed.notes)


def _structure(model: Any, ends: str) -> Any:
    """A model's input or output structure (dict, list or tensor) as its author wrote it; None if unknown."""
    return getattr(model, f"_{ends}_struct", getattr(model, f"_nested_{ends}", None))


def _names(structure: Any, tensors: Sequence[str]) -> list[str]:
    """The keys of a dict; else the tensors' own names."""
    keys = list(paths(structure))
    if len(keys) != len(tensors):
        keys = [()] * len(tensors)
    plain = [name.removesuffix(":0") for name in tensors]
    return unique([of_path(path, name) for path, name in zip(keys, plain, strict=True)])


def _packed(structure: Any, arrays: Sequence[Any]) -> Any:
    """The arrays in the model's input structure: a single array, a list, or a structure with dicts."""
    import tensorflow as tf

    if any(of_path(path, "") for path in paths(structure)):
        return tf.nest.pack_sequence_as(structure, list(arrays))
    return arrays[0] if len(arrays) == 1 else list(arrays)


def load(path: Path) -> tuple[Any, str]:
    """(model, the reader used instead of Keras 3). Code in the file (lambda layers) is run only of a trusted one."""
    hdf5 = _is_hdf5(path)
    config = _config(path, hdf5)
    if code := [_name(layer) for layer in _layers(config) if _is_code(layer)]:
        refuse_untrusted(
            ModelError(
                f"Keras file holds Python code, a lambda layer: {path.name}: {', '.join(code)}",
                hint=_EXPORT,
                code=Code.MODEL_REFUSED,
            )
        )
    if named := [_name(layer) for layer in _layers(config) if _names_a_file(layer)]:
        refuse_untrusted(
            ModelError(
                f"Keras file has layers that read other files: {path.name}: {', '.join(named)}",
                hint="save the model with its vocabulary in it",
                code=Code.MODEL_REFUSED,
            )
        )
    if kept := [_name(layer) for layer in _layers(config) if _stateful(layer)]:
        raise nondeterminism.stateful(path, [f"layer {name}" for name in dict.fromkeys(kept)])
    if hdf5 and not config:
        raise _refusal(path, ValueError("it has no configuration"), config)
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=not trusted()), ""
    except Exception as error:  # noqa: BLE001 - Keras raises many kinds
        raised: Exception = error
    if hdf5 and not any(_foreign(layer) for layer in _layers(config)):
        legacy = _load_legacy(path)
        if legacy is not None:
            return legacy, "tf-keras"
    raise _refusal(path, raised, config) from raised


def _load_legacy(path: Path) -> Any:
    """Loads with tf-keras, Keras 2's own reader; None if that fails too, so that Keras 3's error is reported."""
    tf_keras = importlib.import_module("tf_keras")
    safe = importlib.import_module("tf_keras.src.saving.serialization_lib").SafeModeScope(not trusted())
    try:
        with safe:  # otherwise it would run a lambda layer's bytecode
            return tf_keras.models.load_model(path, compile=False)
    except Exception:  # noqa: BLE001 - Keras 3's error is the one to report
        return None


def _refusal(path: Path, error: Exception, config: dict[str, Any]) -> ModelError:
    """The error for a file that neither Keras can read; custom layers are named."""
    own = sorted({_own_class(layer) for layer in _layers(config)} - {""})
    unknown = [name for name in own if name in str(error)] or (own if "registered" in str(error) else [])
    if unknown:
        return ModelError(
            f"Keras file has custom layers: {', '.join(unknown)}",
            hint=f"their code is not in the file; {_EXPORT}",
            code=Code.MODEL_CUSTOM_LAYER,
        )
    if path.suffix.lower() != ".keras" and not config:
        return ModelError(
            f"Keras file holds weights alone: {path.name}",
            hint="save the whole model with model.save(file), not save_weights",
            code=Code.MODEL_UNREADABLE,
        )
    return ModelError(
        f"Keras cannot load {path.name}: {telling(error)}",
        hint=f"it may be of another version of Keras; {_EXPORT}",
        code=Code.MODEL_UNREADABLE,
    )


def _is_hdf5(path: Path) -> bool:
    """Whether the file starts as HDF5, as `recognise` checks it: a zip archive may be appended to any file."""
    with path.open("rb") as file:
        return file.read(len(hdf5_file.MAGIC)) == hdf5_file.MAGIC


def _config(path: Path, hdf5: bool) -> dict[str, Any]:
    """The model's configuration in the file; empty if there is none. Raises ModelError if it cannot be read."""
    import zipfile

    import h5py

    try:
        if hdf5:
            with h5py.File(path, "r") as file:
                _refuse_other_files(file, path)
                text: Any = file.attrs.get("model_config", "{}")
        else:
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json")
                with archive.open(_WEIGHTS) as weights, h5py.File(weights, "r") as file:
                    _refuse_other_files(file, path)
        found = json.loads(text)
    except (OSError, KeyError, TypeError, *BAD_ZIP) as error:
        raise ModelError(
            f"configuration in the Keras file {path.name} cannot be read: {telling(error)}",
            hint="copy or export it again",
            code=Code.MODEL_UNREADABLE,
        ) from error
    return found if isinstance(found, dict) else {}


def _refuse_other_files(file: Any, path: Path) -> None:
    """Raises ModelError for weights that HDF5 would read from another file, which is not hashed and may not belong to the model."""
    import h5py

    def linked(name: str, link: Any) -> str | None:
        return name if isinstance(link, h5py.ExternalLink) else None

    def stored(name: str, item: Any) -> str | None:
        return name if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual) else None

    if found := file.visititems_links(linked) or file.visititems(stored):
        refuse_untrusted(
            ModelError(
                f"Keras file has weights in another file: {path.name}: {found}",
                hint="save the whole model in one file with model.save(file)",
                code=Code.MODEL_REFUSED,
            )
        )


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """All entries of a configuration that have a class, including nested ones."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from _layers(value)


def _name(layer: dict[str, Any]) -> str:
    config = layer.get("config")
    return (
        str(config.get("name", layer["class_name"])) if isinstance(config, dict) else str(layer["class_name"])
    )


def _names_a_file(layer: dict[str, Any]) -> bool:
    """Whether it would read its vocabulary from a path, or an address."""
    config = layer.get("config")
    return isinstance(config, dict) and isinstance(config.get("vocabulary"), str)


def _stateful(layer: dict[str, Any]) -> bool:
    """Whether it is a recurrent layer that keeps its state between calls."""
    config = layer.get("config")
    return isinstance(config, dict) and config.get("stateful") is True


def _is_code(layer: dict[str, Any]) -> bool:
    """Whether it is a lambda layer with bytecode, rather than the name of a known function."""
    if layer.get("class_name") != "Lambda":
        return False
    config = layer.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("function"), str):
        return True
    parts = ("function", "output_shape", "mask")
    inner = any("__lambda__" in json.dumps(config.get(name)) for name in parts)
    return inner or any(config.get(f"{name}_type") == "lambda" for name in parts)


def _foreign(layer: dict[str, Any]) -> bool:
    """Whether its module is not Keras's own: tf-keras would import any module that is named there."""
    module = layer.get("module")
    return module is not None and str(module).split(".")[0] not in ("keras", "tf_keras", "builtins")


def _own_class(layer: dict[str, Any]) -> str:
    """The name of a class that is not Keras's own, else empty."""
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
