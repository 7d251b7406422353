"""Makes the inputs and outputs of a QDQ model integers: the application then quantises and dequantises. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

    from edgewright.sdk import ConversionError


def narrow(model: ModelProto) -> dict[str, tuple[float, int]]:
    """Drops the outer QuantizeLinear and DequantizeLinear nodes, in place.

    Returns:
        {name of an input or output: (scale, zero point)} of those that became integers.

    Raises:
        ConversionError: a float input or output is not quantised directly.
    """
    from onnx import numpy_helper

    graph = model.graph
    arrays = {item.name: item for item in graph.initializer}

    def number(name: str) -> Any:
        return numpy_helper.to_array(arrays[name]).reshape(-1)[0]

    found, dropped = {}, []
    for item in [one for one in graph.input if one.name not in arrays and _is_float(one)]:
        quantise = _only(_readers(graph, item.name), "QuantizeLinear", item.name, "input")
        found[item.name] = (float(number(quantise.input[1])), int(number(quantise.input[2])))
        _retype(item, arrays[quantise.input[2]].data_type)
        _rewire(graph, quantise.output[0], item.name)
        dropped.append(quantise.name)
    for item in [one for one in graph.output if _is_float(one)]:
        makers = [node for node in graph.node if item.name in node.output]
        dequantise = _only(makers, "DequantizeLinear", item.name, "output")
        if _readers(graph, item.name):
            raise _refused(item.name, "output")
        found[item.name] = (float(number(dequantise.input[1])), int(number(dequantise.input[2])))
        _retype(item, arrays[dequantise.input[2]].data_type)
        _rename_tensor(graph, dequantise.input[0], item.name)
        dropped.append(dequantise.name)
    left = [node for node in graph.node if node.name not in dropped]
    copies = [type(node).FromString(node.SerializeToString()) for node in left]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]
    return found


def _is_float(item: ValueInfoProto) -> bool:
    from onnx import TensorProto

    return bool(item.type.tensor_type.elem_type == TensorProto.FLOAT)


def _readers(graph: GraphProto, name: str) -> list[NodeProto]:
    return [node for node in graph.node if name in node.input]


def _only(nodes: list[NodeProto], kind: str, name: str, end: str) -> NodeProto:
    if len(nodes) != 1 or nodes[0].op_type != kind:
        raise _refused(name, end)
    return nodes[0]


def _refused(name: str, end: str) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"{end} cannot be an integer, it is used in floats: {name}",
        hint="leave --integer-io out",
        code=Code.INTEGER_IO,
    )


def _retype(item: ValueInfoProto, kind: int) -> None:
    item.type.tensor_type.elem_type = kind


def _rewire(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _rename_tensor(graph: GraphProto, old: str, new: str) -> None:
    """Renames the tensor `old` to `new`."""
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]
