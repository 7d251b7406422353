"""The graph of a functional Keras model: its calls in order, and a copy with other layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any


def calls(model: Any) -> Iterator[Any]:
    """The calls of layers and operations (Keras's nodes), each after those that it depends on, without input layers."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def layers(model: Any) -> list[Any]:
    """The layers and operations that are called, in the order of the graph, without duplicates."""
    return list({id(node.operation): node.operation for node in calls(model)}.values())


def uses(model: Any) -> dict[str, list[Any]]:
    """Layer name -> its calls."""
    found: dict[str, list[Any]] = {}
    for node in calls(model):
        found.setdefault(node.operation.name, []).append(node)
    return found


def obstacle(calls: Sequence[Any]) -> str:
    """Why the output of a layer with these calls is not one tensor of numbers for each sample; empty if it is."""
    if len(calls) > 1:
        return f"it runs {len(calls)} times"
    if len(calls[0].outputs) > 1:
        return "it returns several tensors"
    tensor = calls[0].outputs[0]
    return (
        ""
        if "float" in str(tensor.dtype) and tensor.shape and tensor.shape[0] is None
        else "its output is not numbers for each sample"
    )


def ends(model: Any, names: Sequence[str]) -> list[Any]:
    """The model's outputs, flat, then those of layers that are called once and return one tensor."""
    calls = uses(model)
    return [*model.outputs, *(calls[name][0].outputs[0] for name in names)]


def nested(operation: Any) -> bool:
    """Whether a layer is itself a model with a graph."""
    import keras

    return isinstance(operation, keras.Sequential) or hasattr(operation, "_nodes_by_depth")


def graph_of(model: Any) -> Any:
    """The functional model of a functional or sequential one."""
    import keras

    return model._functional if isinstance(model, keras.Sequential) else model


def rebuild(model: Any, copy: Callable[[Any], Any]) -> Any:
    """A functional model with the same graph, inputs, outputs and name; nested models become part of its graph.

    Args:
        copy: a layer or operation -> the one to call in its place. It is asked once for each.
    """
    import keras

    graph = graph_of(model)
    made: dict[int, Any] = {}
    ends = keras.tree.map_structure(_input, graph._inputs_struct)
    outputs = _replay(graph, ends, copy, made)
    return keras.Model(ends, outputs, name=model.name)


def _input(tensor: Any) -> Any:
    import keras

    return keras.Input(
        tensor.shape[1:], dtype=tensor.dtype, name=tensor.name, sparse=getattr(tensor, "sparse", False)
    )


def _replay(graph: Any, given: Any, copy: Callable[[Any], Any], made: dict[int, Any]) -> Any:
    """Calls the copies on `given`; returns the outputs in the graph's structure."""
    import keras

    values = {id(old): new for old, new in zip(graph.inputs, keras.tree.flatten(given), strict=True)}
    for node in calls(graph):
        args, kwargs = node.arguments.fill_in(values)
        operation = node.operation
        if nested(
            operation
        ):  # `training` that its call fixes means nothing: Keras 3 lets that of the outer model rule
            answer = _replay(graph_of(operation), args[0], copy, made)
        else:
            if id(operation) not in made:
                made[id(operation)] = copy(operation)
            answer = made[id(operation)](*args, **kwargs)
        for old, new in zip(node.outputs, keras.tree.flatten(answer), strict=True):
            values[id(old)] = new
    return keras.tree.map_structure(lambda tensor: values[id(tensor)], graph._outputs_struct)


def fresh(operation: Any, **changes: Any) -> Any:
    """A layer with the same configuration but for `changes`, not built; an operation without weights is itself."""
    import keras

    if not isinstance(operation, keras.layers.Layer):
        return operation
    return type(operation).from_config({**operation.get_config(), **changes})


def give_weights(layer: Any, arrays: list[Any]) -> None:
    """Sets a layer's weights, also those that it caches."""
    layer.set_weights(arrays)
    if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
        layer.finalize_state()


def takes_training(operation: Any) -> bool:
    """Whether a call of it takes `training`."""
    return "training" in getattr(operation, "_call_context_args", ()) or bool(
        getattr(operation, "_call_has_training_arg", False)
    )


def flattened(answer: Any) -> list[Any]:
    """The tensors that a call returned."""
    import keras

    return list(keras.tree.flatten(answer))
