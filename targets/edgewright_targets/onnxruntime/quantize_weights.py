"""8-bit and 4-bit weights with arithmetic in floats. Host side, in the `onnx` worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgewright_targets._onnx.prepare_for_quantization import named, raised

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


_MIN_VALUES = 64  # values in a weight: below this, scales and nodes cost more than is saved
_BLOCK_SIZE = 32  # weights that share a scale in 4 bits


def eight_bits(model: ModelProto) -> ModelProto:
    """Quantises weights of convolutions, products, recurrent layers and tables to int8, symmetric, with a scale per channel.

    Returns:
        The ModelProto.

    Raises:
        ConversionError: there is no such weight.
    """
    model = named(raised(model, 13))
    weights = {item.name: item for item in model.graph.initializer}
    done, nodes = {}, []
    for node in model.graph.node:
        after = [node]
        for place, axis in _places(node, weights):
            name = node.input[place]
            if (name, axis) not in done:
                done[name, axis] = _quantised(model, weights[name], axis)
            if node.op_type == "Gather":
                after.append(_dequantised_rows(node, done[name, axis]))
            else:
                nodes.append(_widened(node, place, done[name, axis]))
        nodes += after
    _refuse_none(done, "8")
    _replace(model, nodes)
    return model


def _places(node: NodeProto, weights: dict[str, TensorProto]) -> list[tuple[int, int]]:
    """(input, axis with its own scales) of each weight of the node that is worth quantising."""
    flags = {item.name: item.i for item in node.attribute}
    if node.domain not in ("", "ai.onnx"):
        return []
    last = _rank(node, 1, weights) - 1
    places = {
        "Conv": [(1, 0)],
        # a grouped one has no axis for all of its outputs
        "ConvTranspose": [(1, 1 if flags.get("group", 1) == 1 else 0)],
        "MatMul": [(1, last)],
        "Gemm": [(1, 0 if flags.get("transB") else 1)],
        "Gather": [(0, _rank(node, 0, weights) - 1)] if flags.get("axis", 0) == 0 else [],
        "LSTM": [(1, 1), (2, 1)],
        "GRU": [(1, 1), (2, 1)],
        "RNN": [(1, 1), (2, 1)],
    }.get(node.op_type, [])
    return [(place, axis) for place, axis in places if _worth(node, place, weights)]


def _rank(node: NodeProto, place: int, weights: dict[str, TensorProto]) -> int:
    weight = weights.get(node.input[place]) if len(node.input) > place else None
    return 0 if weight is None else len(weight.dims)


def _worth(node: NodeProto, place: int, weights: dict[str, TensorProto]) -> bool:
    from onnx import TensorProto

    if _rank(node, place, weights) < 2:
        return False
    weight, size = weights[node.input[place]], 1
    for axis in weight.dims:
        size *= axis
    return weight.data_type == TensorProto.FLOAT and size >= _MIN_VALUES


def _quantised(model: ModelProto, weight: TensorProto, axis: int) -> tuple[str, str, str, int]:
    """(names of the int8 weight, its scales, its zero points; axis), added as three initialisers."""
    import numpy
    from onnx import numpy_helper

    array = numpy_helper.to_array(weight)
    others = tuple(index for index in range(array.ndim) if index != axis)
    scale = numpy.abs(array).max(axis=others, keepdims=True).astype(numpy.float32) / 127
    scale[scale == 0] = 1
    whole = numpy.clip(numpy.rint(array / scale), -127, 127).astype(numpy.int8)
    names = tuple(f"{weight.name}_{end}_{axis}" for end in ("int8", "scale", "zero"))
    arrays = (whole, scale.reshape(-1), numpy.zeros(scale.size, numpy.int8))
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in zip(names, arrays, strict=True)
    )
    weights, scales, zeros = names
    return weights, scales, zeros, axis


def _widened(node: NodeProto, place: int, weight: tuple[str, str, str, int]) -> NodeProto:
    from onnx import helper

    *names, axis = weight
    wide = f"{node.name}_weight{place}"
    node.input[place] = wide
    return helper.make_node("DequantizeLinear", names, [wide], name=f"{wide}_dequantise", axis=axis)


def _dequantised_rows(node: NodeProto, weight: tuple[str, str, str, int]) -> NodeProto:
    """Dequantises only the rows that are looked up."""
    from onnx import helper

    *names, _ = weight
    narrow = f"{node.name}_rows"
    out = node.output[0]
    node.input[0], node.output[0] = names[0], narrow
    return helper.make_node(
        "DequantizeLinear", [narrow, *names[1:]], [out], name=f"{narrow}_dequantise", axis=-1
    )


def four_bits(model: ModelProto) -> ModelProto:
    """Quantises weights of MatMul and Gemm in blocks of 32 that share a scale, as the runtime's own MatMulNBits.

    Raises:
        ConversionError: the model has no such weight.
    """
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    model = named(_multiplied(model))
    quantiser = MatMulNBitsQuantizer(model, bits=4, block_size=_BLOCK_SIZE, is_symmetric=False)
    quantiser.process()
    made = quantiser.model.model
    _refuse_none([node for node in made.graph.node if node.op_type == "MatMulNBits"], "4")
    _replace(made, list(made.graph.node))
    return made


def _multiplied(model: ModelProto) -> ModelProto:
    """Replaces Gemm by MatMul and Add where they are equivalent, in place."""
    import numpy
    from onnx import helper, numpy_helper

    weights = {item.name: item for item in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        flags = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        plain = flags.get("alpha", 1.0) == flags.get("beta", 1.0) == 1.0 and not flags.get("transA")
        if node.op_type != "Gemm" or not plain or node.input[1] not in weights:
            nodes.append(node)
            continue
        left, right = node.input[0], node.input[1]
        if flags.get("transB"):
            turned = numpy.ascontiguousarray(numpy_helper.to_array(weights[right]).T)
            right = f"{node.input[1]}_turned"
            if right not in weights:
                weights[right] = numpy_helper.from_array(turned, right)
                model.graph.initializer.append(weights[right])
        biased = len(node.input) > 2 and node.input[2]
        product = f"{node.output[0]}_product" if biased else node.output[0]
        nodes.append(helper.make_node("MatMul", [left, right], [product], name=node.name))
        if biased:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
    _replace(model, nodes)
    return model


def _refuse_none(
    found: dict[tuple[str, int], tuple[str, str, str, int]] | list[NodeProto], bits: str
) -> None:
    from edgewright.sdk import Code, ConversionError

    if not found:
        kinds = "MatMul or Gemm" if bits == "4" else "convolution, MatMul or Gemm"
        raise ConversionError(
            f"model has no weight that can have {bits} bits: no {kinds} with a separate weight",
            hint="take another precision, such as int8 or fp16",
            code=Code.NOTHING_QUANTISED,
        )


def _replace(model: ModelProto, nodes: list[NodeProto]) -> None:
    """Replaces the nodes, and removes initialisers that none of them reads."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    read = {name for node in copies for name in _read(node)} | {item.name for item in model.graph.output}
    left = [item for item in model.graph.initializer if item.name in read]
    kept = [type(item).FromString(item.SerializeToString()) for item in left]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.graph.value_info[:]


def _read(node: NodeProto) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _read(inner)
            yield from (item.name for item in graph.output)
