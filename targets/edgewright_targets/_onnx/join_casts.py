"""Takes away what rounds a 32-bit float to 16 bits on its way between two nodes that compute in 32. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.prepare_for_quantization import reads

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


_FLOAT, _HALF = 1, 10  # of TensorProto.DataType
_NARROWING = ("graph_input_cast", "_cast_to_fp16_node")  # the converter's own: what they read is 32 bits wide


def joined(model: ModelProto) -> ModelProto:
    """The model of the converter to halves, in which it puts such a pair of casts between all neighbours, changed in place."""
    graph = model.graph
    narrowed = {node.output[0]: node.input[0] for node in graph.node if _casts(node, _HALF)}
    inputs, outputs = ({item.name for item in ends} for ends in (graph.input, graph.output))
    wide = {
        node.output[0]: narrowed[node.input[0]]
        for node in graph.node
        if _casts(node, _FLOAT) and node.input[0] in narrowed
    }
    fixed = {*inputs, *outputs, *(name for node in graph.node for name in reads(node)[len(node.input) :])}
    renamed = {source: name for name, source in wide.items() if name in outputs and source not in fixed}
    wide = {name: source for name, source in wide.items() if name not in outputs}
    for node in graph.node:
        for at, name in enumerate(node.input):
            source = wide.get(name, name)
            node.input[at] = renamed.get(source, source)
        for at, name in enumerate(node.output):
            node.output[at] = renamed.get(name, name)
    _drop(model, {*renamed.values()})
    return model


def _casts(node: NodeProto, kind: int) -> bool:
    if node.op_type != "Cast" or node.attribute[0].i != kind:
        return False
    return kind == _FLOAT or node.name.startswith(_NARROWING[0]) or node.name.endswith(_NARROWING[1])


def _drop(model: ModelProto, ends: set[str]) -> None:
    """Casts that nothing reads any more, and those whose result their own source makes now."""
    graph = model.graph
    made = [name for node in graph.node for name in node.output]
    doubled = {name for name in ends if made.count(name) > 1}
    kept = [node for node in graph.node if not (node.op_type == "Cast" and node.output[0] in doubled)]
    outputs = {item.name for item in graph.output}
    while True:
        read = {name for node in kept for name in reads(node)} | outputs
        left = [node for node in kept if node.op_type != "Cast" or node.output[0] in read]
        if len(left) == len(kept):
            break
        kept = left
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
