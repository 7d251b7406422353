"""Reads how finely the outputs of an ONNX file are quantised. Host side, in the `onnx` worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto, TensorProto

    from edgewright.sdk.graphs import Graph, Move, Tail

    Array = np.ndarray[Any, Any]


_ROUND = ("QuantizeLinear", "DequantizeLinear")
_SAME = (*_ROUND, "Identity", "Cast", "Relu", "Clip")  # operators that keep values, apart from clipping
_MOVES = (
    "Concat", "Pad", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "DepthToSpace", "SpaceToDepth",
)  # fmt: skip
_AFFINE = ("Mul", "Div", "Add", "Sub")
_DOMAINS = ("", "ai.onnx", "com.microsoft")


def tails(path: Path, outputs: list[str]) -> list[Tail | None]:
    """A `compile.graph.output_tails.Tail`, or None, for each named output."""
    import onnx

    from edgewright.sdk.graphs import tail

    graph = read(onnx.load(str(path), load_external_data=False))
    return [tail(graph, name) for name in outputs]


def read(model: ModelProto) -> Graph:
    """A `compile.graph.output_tails.Graph` of a ModelProto."""
    from edgewright.sdk.graphs import Graph
    from edgewright_targets._onnx.constant_magnitudes import constants as constants_of

    constants = constants_of(model)
    opset = max([item.version for item in model.opset_import if item.domain in ("", "ai.onnx")], default=1)
    steps = _steps(model, constants)
    if not steps:  # as in most models: skips the rest
        return Graph([], {}, {}, {}, ())
    values = _valued(model, constants)
    moves = [move for node in model.graph.node if (move := _move(node, constants, opset, values))]
    kinds = {name: node.op_type.lower() for node in model.graph.node for name in node.output}
    fixed = {*constants, *(item.name for item in model.graph.initializer)}
    return Graph(moves, steps, _shapes(model), kinds, fixed)


def _steps(model: ModelProto, constants: dict[str, TensorProto]) -> dict[str, float]:
    """{integer tensor: its step}; for weights, the coarsest step."""
    from onnx import numpy_helper

    found = {}
    for node in model.graph.node:
        if node.op_type in _ROUND and node.domain in _DOMAINS and node.input[1] in constants:
            whole = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
            found[whole] = float(numpy_helper.to_array(constants[node.input[1]]).max())
    return found


def _move(
    node: NodeProto, constants: dict[str, TensorProto], opset: int, values: Callable[..., Any]
) -> Move | None:
    """The node as a `compile.graph.output_tails.Move`; None if it computes something, or if it moves by a computed amount."""
    import onnx

    from edgewright.sdk.graphs import Move

    if node.domain not in _DOMAINS:
        return None
    if node.op_type in _SAME:
        return Move((node.input[0],), (node.output[0],), lambda given: given)
    if node.op_type in _AFFINE:
        return _affine(node, values)
    if node.op_type not in _MOVES:
        return None
    count = len(node.input) if node.op_type == "Concat" else 1
    filled = node.op_type == "Pad"  # filled with a number, whatever it is
    others = [name for name in node.input[count : 2 if filled else None] if name]
    if any(name not in constants for name in others) or "" in node.output:
        return None

    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    if filled:
        del bare.input[2:]

    def apply(given: list[Array]) -> list[Array]:
        from onnx import numpy_helper
        from onnx.reference import ReferenceEvaluator

        feed = dict(zip(node.input[:count], given, strict=True))
        feed.update({name: numpy_helper.to_array(constants[name]) for name in others})
        return list(ReferenceEvaluator(bare, opsets={"": opset}).run(None, feed))

    return Move(tuple(node.input[:count]), tuple(node.output), apply)


def _affine(node: NodeProto, values: Callable[..., Any]) -> Move | None:
    """A Mul, Div, Add or Sub with a constant as a `compile.graph.output_tails.Move`; None if both operands are computed."""
    from edgewright.sdk.graphs import affine

    first, second = (values(name) for name in node.input)
    return affine(node.op_type, tuple(node.input), node.output[0], first, second)


def _valued(model: ModelProto, constants: dict[str, TensorProto]) -> Callable[..., Any]:
    """A function from a name to its constant value, quantised or not; None for computed tensors."""
    import numpy
    from onnx import numpy_helper

    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}

    def values(name: str) -> Any:
        if name in constants:
            return numpy_helper.to_array(constants[name]).astype(numpy.float64)
        node = makers.get(name)
        given = None if node is None else [values(one) if one else numpy.zeros(()) for one in node.input]
        if given is None or any(one is None for one in given) or given[1].size != 1:
            return None
        return (given[0] - (given[2] if len(given) > 2 else 0)) * given[1]

    return values


def _shapes(model: ModelProto) -> dict[str, list[int]]:
    """{name: shape} of the tensors whose shape can be inferred. The runtime's own Q and DQ operators would stop inference, so they become casts."""
    import onnx

    kinds = {item.name: item.data_type for item in model.graph.initializer}
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for node in bare.graph.node:
        if node.op_type in _ROUND:
            made = kinds.get(node.input[1], onnx.TensorProto.FLOAT)
            if node.op_type == "QuantizeLinear":
                made = kinds.get(node.input[2] if len(node.input) > 2 else "", onnx.TensorProto.UINT8)
            node.op_type, node.domain = "Cast", ""
            del node.input[1:], node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("to", made))
    del bare.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    found = {item.name: list(item.dims) for item in graph.initializer}
    for item in [*graph.input, *graph.value_info, *graph.output]:
        axes = item.type.tensor_type.shape.dim
        if item.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[item.name] = [axis.dim_value for axis in axes]
    return found
