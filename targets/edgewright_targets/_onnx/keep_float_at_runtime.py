"""Keeps nodes in floats at run time too, although the runtime would quantise them. Host side.

ONNX Runtime quantises the weights of a Conv, ConvTranspose or Gemm itself (its optimiser WeightBiasQuantization, per
tensor) if a DequantizeLinear feeds it and its result is quantised: a layer left in floats on purpose would then
run in 8 bits after all. So would any other node, such as a Softmax, whose inputs are all dequantised and whose result is
quantised. A Max with the lowest float before the node changes no value and is not removed by any optimiser, but breaks the
pattern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


LOWEST = "edgewright_lowest"
_FLOATS = (1, 10)  # by TensorProto.DataType


def shield(model: ModelProto, names: set[str]) -> None:
    """Inserts the Max before those named nodes that read a dequantised tensor and could be run in 8 bits; in place."""
    import numpy
    from onnx import helper, numpy_helper

    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    rounded = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    weights = {item.name for item in model.graph.initializer if item.data_type in _FLOATS}
    nodes, shielded = [], {}
    for node in model.graph.node:
        place = next((at for at, name in enumerate(node.input) if name in dequantised), None)
        taken = rounded & set(node.output) or weights & set(node.input)
        if node.name in names and place is not None and taken:
            name = node.input[place]
            if name not in shielded:
                shielded[name] = f"{name}_kept"
                nodes.append(helper.make_node("Max", [name, LOWEST], [shielded[name]], name=shielded[name]))
            node.input[place] = shielded[name]
        nodes.append(node)
    if not shielded:
        return
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    lowest = numpy.array(numpy.finfo("float32").min, dtype="float32")
    model.graph.initializer.append(numpy_helper.from_array(lowest, LOWEST))
