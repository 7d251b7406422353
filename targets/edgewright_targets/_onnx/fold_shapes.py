"""Folds integers that depend only on shapes into constants. Host side, in the `onnx` worker.

Exporters compute the shapes of Reshapes in the graph, although they are fixed if the inputs' shapes are. Nothing else changes:
layers keep their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

    Array = np.ndarray[Any, Any]


_ROUNDS = 32  # from this IR version on, initialisers are not inputs
_CONSTANTS = 4  # from this IR version on, initialisers are not necessarily inputs
_SMALL = 1 << 12  # elements: a larger tensor is not a shape or part of one
_RANDOM = ("RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")


def folded(model: ModelProto) -> ModelProto:
    """The model with these integers as initialisers, without the nodes that computed them; a copy if anything changed."""
    made = None
    for _ in range(_ROUNDS):
        graph = (made or model).graph
        found = _found(made or model)
        if not found:
            break
        made = made or type(model).FromString(model.SerializeToString())
        made.ir_version = max(made.ir_version, _CONSTANTS)
        kept = [node for node in graph.node if not set(node.output) & set(found)]
        made.graph.initializer.extend(found.values())
        _replace(made.graph, _read(kept, {item.name for item in graph.output}))
    return made or model


def folded_if_possible(model: ModelProto) -> ModelProto:
    """The same, or the model as it is if this machine's runtime cannot compute its constants."""
    try:
        return folded(model)
    except Exception as error:  # noqa: BLE001 - the runtime does not take every operator; a converter may
        print(f"computed shapes stay: {error}")  # noqa: T201 - a worker's stdout is its log
        return model


def _found(model: ModelProto) -> dict[str, TensorProto]:
    """{name: tensor} of everything that can be computed without the inputs' values."""
    from onnx import helper, numpy_helper

    shapes = _shapes(model)
    held = [item for item in model.graph.initializer if _size(item.dims) <= _SMALL]
    known, nodes, found = {item.name for item in held}, [], {}
    for node in model.graph.node:
        if node.op_type == "Shape" and node.input[0] in shapes:
            found[node.output[0]] = numpy_helper.from_array(_of(node, shapes[node.input[0]]), node.output[0])
            known.add(node.output[0])
        elif _plain(node) and known.issuperset(filter(None, node.input)):
            nodes.append(node)
            known.update(node.output)
    computed = [name for node in nodes if node.op_type != "Constant" for name in node.output if name]
    if computed:
        graph = helper.make_graph(nodes, "g", [], [], [*held, *found.values()])
        found.update(
            _values(
                helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version),
                computed,
            )
        )
    results = {item.name for item in model.graph.output}
    return {name: item for name, item in found.items() if name not in results}


def _plain(node: NodeProto) -> bool:
    """Whether a node is deterministic: equal inputs give equal results."""
    inner = any(item.HasField("g") or item.graphs for item in node.attribute)
    given = node.input or node.op_type == "Constant"
    return given and not inner and node.domain in ("", "ai.onnx") and node.op_type not in _RANDOM


def _values(model: ModelProto, names: list[str]) -> dict[str, TensorProto]:
    """{name: tensor} of the integers among them."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    from edgewright.sdk.onnx import session

    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    arrays = zip(names, session(model.SerializeToString(), settings).run(names, {}), strict=True)
    return {
        name: numpy_helper.from_array(array, name)
        for name, array in arrays
        if getattr(array, "dtype", None) in ("int64", "int32", "bool") and array.size <= _SMALL
    }


def _of(node: NodeProto, shape: tuple[int, ...]) -> Array:
    """The result of a Shape, which since opset 15 may be only a part of the shape."""
    import numpy

    ends = {item.name: item.i for item in node.attribute}
    return numpy.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], numpy.int64)


def _shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """{name: shape} of the tensors with a fixed shape. Large weights are treated as inputs: only their shapes matter."""
    import onnx
    from onnx import helper

    light = onnx.ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions
    )
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    there = {item.name for item in light.graph.input}
    for item in model.graph.initializer:
        if _size(item.dims) <= _SMALL:
            light.graph.initializer.append(item)
        elif item.name not in there:
            light.graph.input.append(
                helper.make_tensor_value_info(item.name, item.data_type, list(item.dims))
            )
    graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    found = {item.name: tuple(item.dims) for item in graph.initializer}
    for item in [*graph.input, *graph.value_info, *graph.output]:
        axes = item.type.tensor_type.shape.dim
        if item.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[item.name] = tuple(axis.dim_value for axis in axes)
    return found


def _size(dims: Iterable[int]) -> int:
    import math

    return math.prod(dims)


def _read(nodes: list[NodeProto], wanted: set[str]) -> list[NodeProto]:
    """The nodes that the outputs need, in order."""
    from edgewright_targets._onnx.prepare_for_quantization import reads

    wanted, left = set(wanted), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            left.append(node)
            wanted.update(reads(node))
    return left[::-1]


def _replace(graph: GraphProto, nodes: list[NodeProto]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
