"""Copies a TensorFlow source into float32, since LiteRT lacks kernels for other floats. Host side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.python.framework.func_graph import FuncGraph

    Array = np.ndarray[Any, Any]


_BITS = "Bitcast"  # it reinterprets the bits of a float


def widened(source: Any, path: Path) -> tuple[Any, list[str]]:
    """(the source, or a copy of it with float32 as its only float type; notes).

    Inputs and outputs become float32 as well. Sums that the converter fails on are rewritten.

    Args:
        path: the source's path, for errors.
    """
    import msgspec

    from edgewright.sdk import Ends
    from edgewright.sdk.tensorflow import float_types, graph

    found = float_types.of_graph_def(source.concrete.graph.as_graph_def())
    biases = _turned_biases(source.concrete.graph)
    if not found and not biases:
        return source, []
    graph_def, starts, stops = _frozen(source)
    said = " and ".join(found)
    if found and any(node.op == _BITS for node in float_types.graph_nodes(graph_def)):
        return source, [f"{said} stays: the model reads the bits of its floats"]
    if found:
        widen(graph_def)
    _add_instead(graph_def, biases)
    made = graph.open_graph(graph_def, path, {}, Ends(inputs=tuple(starts), outputs=tuple(stops)))
    ends = [spec.name for spec in source.inputs if found and spec.dtype in ("float16", "float64")]
    made.inputs = tuple(
        msgspec.structs.replace(spec, dtype="float32") if spec.name in ends else spec
        for spec in source.inputs
    )
    made.output_names = source.output_names
    also = f", inputs too: {', '.join(ends)}" if ends else ""
    return made, [f"{said} became float32 before the conversion{also}"] if found else []


def _frozen(source: Any) -> tuple[GraphDef, list[str], list[str]]:
    """(a GraphDef of the source with variables as constants, names of its input tensors, names of its output tensors)."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    if source.loops is not None:
        graph_def, starts, stops = source.loops
        return type(graph_def).FromString(graph_def.SerializeToString()), starts, stops
    frozen = convert_variables_to_constants_v2(
        source.concrete, lower_control_flow=False, aggressive_inlining=True
    )
    ends = [[one.name for one in tensors] for tensors in (frozen.inputs, frozen.outputs)]
    return frozen.graph.as_graph_def(), *ends


def _turned_biases(graph: FuncGraph) -> dict[str, int]:
    """{name of a BiasAdd along the second of two or more axes: number of axes}.

    Keras makes one from any sum with an array of one value per row, and LiteRT's converter fails unless there are four axes.
    """
    found = {}
    for operation in graph.get_operations():
        if operation.type == "BiasAdd" and operation.get_attr("data_format") == b"NCHW":
            rank = operation.inputs[0].shape.rank
            if rank not in (None, 4):
                found[operation.name] = rank
    return found


def _add_instead(graph_def: GraphDef, biases: dict[str, int]) -> None:
    """Turns each of these BiasAdds into an AddV2, in place."""
    import tensorflow as tf

    for node in [one for one in graph_def.node if one.name in biases]:
        shape, rows = graph_def.node.add(), graph_def.node.add()
        axes = tf.make_tensor_proto([1, -1] + [1] * (biases[node.name] - 2), tf.int32)
        shape.op, shape.name = "Const", f"{node.name}/edgewright_shape"
        shape.attr["dtype"].type = tf.int32.as_datatype_enum
        shape.attr["value"].tensor.CopyFrom(axes)
        rows.op, rows.name = "Reshape", f"{node.name}/edgewright_rows"
        rows.input.extend([node.input[1], shape.name])
        rows.attr["T"].type = node.attr["T"].type
        rows.attr["Tshape"].type = tf.int32.as_datatype_enum
        node.op = "AddV2"
        node.input[1] = rows.name
        del node.attr["data_format"]


def wide(array: Array) -> Array:
    """A sample's array in the type that the widened model takes."""
    import numpy

    return array if array.dtype.kind in "iub" else numpy.asarray(array, numpy.float32)


def widen(graph_def: GraphDef) -> None:
    """Turns every float type into float32, in place; functions get new names."""
    from edgewright.sdk.tensorflow import graph_nodes

    names = {
        function.signature.name: f"{function.signature.name}_float32"
        for function in graph_def.library.function
    }
    for function in graph_def.library.function:
        function.signature.name = names[function.signature.name]
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _wide(argument.type)
        for attribute in function.attr.values():
            _widen(attribute, names)
    for node in graph_nodes(graph_def):
        node.op = names.get(node.op, node.op)
        for attribute in node.attr.values():
            _widen(attribute, names)


def _wide(kind: int) -> int:
    from tensorflow.core.framework import types_pb2

    other = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16, types_pb2.DT_DOUBLE)
    return types_pb2.DT_FLOAT if kind in other else kind


def _widen(attribute: Any, names: dict[str, str]) -> None:
    which = attribute.WhichOneof("value")
    functions: list[Any] = []
    if which == "type":
        attribute.type = _wide(attribute.type)
    elif which == "tensor" and _wide(attribute.tensor.dtype) != attribute.tensor.dtype:
        attribute.tensor.CopyFrom(_tensor(attribute.tensor))
    elif which == "list":
        attribute.list.type[:] = [_wide(kind) for kind in attribute.list.type]
        functions = attribute.list.func
    elif which == "func":
        functions = [attribute.func]
    for function in functions:
        function.name = names.get(function.name, function.name)
        for inner in function.attr.values():
            _widen(inner, names)


def _tensor(proto: Any) -> Any:
    """Widens one tensor. Values beyond float32, such as the lowest float64 of a mask, are clipped to its range."""
    import numpy
    import tensorflow as tf

    values = tf.make_ndarray(proto)
    most = numpy.finfo(numpy.float32).max
    if values.dtype == numpy.float64:
        values = numpy.where(numpy.isfinite(values), numpy.clip(values, -most, most), values)
    return tf.make_tensor_proto(values.astype(numpy.float32), shape=values.shape)
