"""Copies a Keras model into one that converts, with the same weights. Host side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

LOOPS = ("While", "StatelessWhile")


def unrolled(source: Any) -> Any:
    """The source, or, if it has loops, a copy of its Keras model with `unroll=True`.

    TensorFlow's calibrator crashes with a segmentation fault in a loop.

    Raises:
        ConversionError: `loop-not-calibrated`: it has loops and is not a Keras model whose layers can be unrolled.
    """
    from edgewright.sdk import Code, ConversionError

    if not _has_loop(source.concrete):
        return source
    copy = _copied(source, _with_unroll)
    if copy is None or _has_loop(copy.concrete):
        raise ConversionError(
            "model has a loop, such as an LSTM or a GRU, whose inside cannot be calibrated",
            hint="give the .keras file, use int8-dynamic or int8-weights, or build the layer with unroll=True",
            code=Code.LOOP_NOT_CALIBRATED,
        )
    return copy


def renamed(source: Any) -> Any:
    """(a copy whose layers have unambiguous names, names, outputs), the latter two as for `layers.save`.

    In a graph, the second of two layers `conv` and `conv_1` can become `conv_1_2` and the first `conv_1`. A source without Keras
    layers is returned unchanged, with both empty.
    """
    names: dict[str, str] = {}

    def change(config: Any) -> Any:
        name = f"edgewright{len(names)}layer"
        names[config.get("name", name)] = name
        return {**config, "name": name}

    copy = _copied(source, change)
    if copy is None:
        return source, {}, {}
    back = {new: old for old, new in names.items()}
    makers = [getattr(tensor, "_keras_history", (None,))[0] for tensor in copy.module.kept.outputs]
    return (
        copy,
        names,
        {back[name]: at for at, one in enumerate(makers) if (name := getattr(one, "name", None)) in back},
    )


def kinds(concrete: ConcreteFunction) -> set[str]:
    """Names of the operators in a ConcreteFunction, including its functions."""
    graph = concrete.graph.as_graph_def()
    inside = {node.op for function in graph.library.function for node in function.node_def}
    return {node.op for node in graph.node} | inside


def _has_loop(concrete: ConcreteFunction) -> bool:
    return bool(kinds(concrete) & set(LOOPS))


def _copied(source: Any, change: Callable[..., Any]) -> Any:
    """A source of the same kind with a rebuilt model, each layer's configuration changed; None if it cannot be rebuilt."""
    import importlib

    model: Any = getattr(source.module, "kept", None)
    package = importlib.import_module(type(model).__module__.split(".")[0])  # keras or tf_keras
    if not hasattr(model, "layers") or not hasattr(getattr(package, "models", None), "clone_model"):
        return None

    def rebuilt(layer: Any) -> Any:
        return type(layer).from_config(change(layer.get_config()))

    try:
        copy = package.models.clone_model(model, clone_function=rebuilt)
        copy.set_weights(model.get_weights())
    except (
        ValueError,
        TypeError,
        NotImplementedError,
    ):  # a subclass, or layers that do not support rebuilding
        return None

    def call(*arrays: Any) -> Any:
        return copy(arrays[0] if len(arrays) == 1 else list(arrays), training=False)

    return type(source)(call, source.inputs, list(source.output_names), copy)


def _with_unroll(config: Any) -> Any:
    """A layer's configuration, including nested ones, with every `unroll` set to true."""
    if isinstance(config, dict):
        return {key: True if key == "unroll" else _with_unroll(value) for key, value in config.items()}
    return [_with_unroll(item) for item in config] if isinstance(config, list) else config
