"""Decides which parts of a graph stay in float64: those that prepare an input, such as a time. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


_LAYERS = (  # the layers that quantisers and half precision are for
    "Conv",
    "ConvTranspose",
    "MatMul",
    "Gemm",
    "Einsum",
    "LSTM",
    "GRU",
    "RNN",
    "Attention",
)


def islands(model: ModelProto) -> frozenset[str]:
    """Names of float64 tensors in connected parts that have no layers with weights and no inner graphs, and that end in Casts."""
    from onnx import TensorProto, shape_inference

    if _in_functions(model):
        return frozenset()
    graph = shape_inference.infer_shapes(model).graph
    kinds = {item.name: item.data_type for item in graph.initializer}
    for item in [*graph.input, *graph.value_info, *graph.output]:
        kinds[item.name] = item.type.tensor_type.elem_type
    wide = {name for name, kind in kinds.items() if kind == TensorProto.DOUBLE}
    results = {item.name for item in graph.output}
    found = set()
    for names, nodes in _parts(graph, wide):
        if not names & results and all(_simple(node, kinds) for node in nodes):
            found |= names
    return frozenset(found)


def _parts(graph: GraphProto, wide: set[str]) -> list[tuple[set[str], list[NodeProto]]]:
    """(names, nodes) of each part that is connected by float64 tensors."""
    from edgewright_targets._onnx.prepare_for_quantization import reads

    parts: list[tuple[set[str], list[Any]]] = []
    for node in graph.node:
        names = wide.intersection([*reads(node), *node.output])
        if not names:
            continue
        nodes = [node]
        for one in [part for part in parts if part[0] & names]:
            parts.remove(one)
            names, nodes = names | one[0], [*one[1], *nodes]
        parts.append((names, nodes))
    return parts


def _simple(node: NodeProto, kinds: dict[str, int]) -> bool:
    inner = any(item.HasField("g") or item.graphs for item in node.attribute)
    known = all(kinds.get(name) for name in [*node.input, *node.output] if name)
    return known and not inner and node.op_type not in _LAYERS and node.domain in ("", "ai.onnx")


def _in_functions(model: ModelProto) -> bool:
    """Whether a function may compute in float64: types inside functions are not recorded."""
    return bool(model.functions)
