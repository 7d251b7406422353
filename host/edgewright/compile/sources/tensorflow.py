"""Opens Keras files and SavedModels. Runs in the `tensorflow` worker."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.shapes import static_shapes
from edgewright.errors import ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class TensorflowModel:
    """A model with static shapes.

    Attributes:
        concrete: the `ConcreteFunction`: inputs in order, a flat list of outputs.
        module: a `tf.Module` with the same function as `serve`, for `tf.saved_model.save`.
    """

    def __init__(
        self, call: Callable[..., Any], inputs: Sequence[TensorSpec], outputs: list[str], keep: Any
    ) -> None:
        import tensorflow as tf

        self._keep = keep  # its variables are captured by the function, but owned by this object
        self.inputs = tuple(inputs)
        self.output_names = tuple(outputs)
        signature = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs]

        def serve(*tensors: Any) -> list[Any]:
            return [tf.identity(tensor) for tensor in tf.nest.flatten(call(*tensors))]

        self.module = tf.Module()
        self.module.kept = keep
        self.module.serve = tf.function(serve, input_signature=signature, autograph=False)
        self.concrete = self.module.serve.get_concrete_function()

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        import numpy as np
        import tensorflow as tf

        return [np.asarray(tensor) for tensor in self.concrete(*[tf.constant(array) for array in sample])]


def open_model(
    path: Path,
    kind: str,
    shapes: dict[str, tuple[int, ...]],
    ends: Ends,  # noqa: ARG001
) -> TensorflowModel:
    """Opens a `keras`, `h5` or `savedmodel` source.

    Raises:
        ModelError: it cannot be loaded, or has dynamic axes beyond the batch.
    """
    return _savedmodel(path, shapes) if kind == "savedmodel" else _keras(path, shapes)


def _keras(path: Path, shapes: dict[str, tuple[int, ...]]) -> TensorflowModel:
    model = _load_keras(path)
    tensors = list(getattr(model, "inputs", None) or [])
    if not tensors:
        raise ModelError(
            f"Keras model does not say what its inputs are: {path.name}",
            hint="build it with an Input layer, or export it as a SavedModel with model.export(folder)",
        )
    names = _clean([getattr(tensor, "name", "input") for tensor in tensors])
    fixed = static_shapes({name: list(t.shape) for name, t in zip(names, tensors, strict=True)}, shapes)
    specs = [
        TensorSpec(name=name, shape=fixed[name], dtype=_dtype(tensor.dtype))
        for name, tensor in zip(names, tensors, strict=True)
    ]
    outputs = _clean(list(getattr(model, "output_names", None) or [t.name for t in model.outputs]))

    def call(*arrays: Any) -> Any:
        return model(arrays[0] if len(arrays) == 1 else list(arrays), training=False)

    return TensorflowModel(call, specs, outputs, model)


def _load_keras(path: Path) -> Any:
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        legacy = _load_legacy(path) if path.suffix != ".keras" else None
        if legacy is not None:
            return legacy
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(
            f"Keras cannot load {path.name}: {(lines or [type(error).__name__])[0][:240].rstrip('.')}",
            hint="a file of weights alone, custom layers or lambdas will not load; export it as a SavedModel",
            code="model-unreadable",
        ) from error


def _load_legacy(path: Path) -> Any:
    """Keras 2's own reader, where tf-keras is installed: it takes layers that Keras 3 refuses."""
    try:
        tf_keras = importlib.import_module("tf_keras")
    except ImportError:
        return None
    try:
        return tf_keras.models.load_model(path, compile=False)
    except Exception:  # noqa: BLE001 - Keras 3's error is the one to report
        return None


def _savedmodel(path: Path, shapes: dict[str, tuple[int, ...]]) -> TensorflowModel:
    import tensorflow as tf

    try:
        signature, arguments, outputs, loaded = _signature(tf.saved_model.load(str(path)), path)
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - TensorFlow raises many kinds for a damaged folder
        try:
            signature, arguments, outputs, loaded = _frozen(path)
        except Exception:  # noqa: BLE001 - the first error says more
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(
                f"TensorFlow cannot load {path.name}: {said[0][:240].rstrip('.')}",
                hint="export the SavedModel again",
                code="model-unreadable",
            ) from error
    keys = sorted(arguments)
    names = _clean(keys)
    axes = {name: _axes(arguments[key].shape) for key, name in zip(keys, names, strict=True)}
    fixed = static_shapes(axes, shapes)
    specs = [
        TensorSpec(name=name, shape=fixed[name], dtype=_dtype(arguments[key].dtype.name))
        for key, name in zip(keys, names, strict=True)
    ]

    def call(*arrays: Any) -> Any:
        answers = signature(**dict(zip(keys, arrays, strict=True)))
        return [answers[name] for name in outputs]

    return TensorflowModel(call, specs, _clean(outputs), loaded)


def _signature(loaded: Any, path: Path) -> tuple[Callable[..., Any], dict[str, Any], list[str], Any]:
    """(function of arguments by name, giving outputs by name; tensor specs; output names; the owner)."""
    signatures = dict(loaded.signatures)
    if not signatures:
        raise ModelError(f"SavedModel has no signature: {path}", hint="export it with model.export(folder)")
    signature = signatures.get("serving_default") or signatures[sorted(signatures)[0]]
    return signature, signature.structured_input_signature[1], sorted(signature.structured_outputs), loaded


def _frozen(path: Path) -> tuple[Callable[..., Any], dict[str, Any], list[str], Any]:
    """As `_signature`, by a session: takes what the object loader refuses, such as Keras 2's optimizers."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        signatures = v1.saved_model.load(session, ["serve"], str(path)).signature_def
        signature = signatures.get("serving_default") or signatures[sorted(signatures)[0]]
        wanted = sorted(signature.outputs)
        ends = [signature.outputs[name].name for name in wanted]
        graph = v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), [end.split(":")[0] for end in ends]
        )
    for function in graph.library.function:  # an imported graph's functions are not known outside of it
        context.context().add_function_def(function)
    keys = sorted(signature.inputs)
    starts = [signature.inputs[key].name for key in keys]
    arguments = {
        key: tf.TensorSpec(tf.TensorShape(signature.inputs[key].tensor_shape), signature.inputs[key].dtype)
        for key in keys
    }

    def call(**tensors: Any) -> dict[str, Any]:
        fed = {start: tensors[key] for key, start in zip(keys, starts, strict=True)}
        found = tf.graph_util.import_graph_def(graph, input_map=fed, return_elements=ends, name="")
        return dict(zip(wanted, found, strict=True))

    return call, arguments, wanted, None


def _axes(shape: Any) -> list[int | None] | None:
    return None if shape.rank is None else list(shape.as_list())


def _dtype(name: Any) -> str:
    text = getattr(name, "name", name)
    if text in ("string", "resource", "variant"):
        raise ModelError(
            f"model takes {text} tensors", hint="cut the text or image decoding off before exporting"
        )
    return str(text)


def _clean(names: Sequence[str]) -> list[str]:
    """Names that every framework takes, each once."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name.split(":")[0]) or "tensor"
        found.append(plain if plain not in found else f"{plain}_{len(found)}")
    return found
