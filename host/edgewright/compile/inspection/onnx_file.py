"""Inspects an ONNX file without the onnx package."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgewright.compile.inspection import protobuf
from edgewright.nouns.base import Noun

# field numbers of onnx.proto
_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION = 1, 7, 8, 25
_OPSET_VERSION = 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE, _FUNCTION_NODE = 1, 5, 15, 7
_NODE_OP, _NODE_ATTRIBUTE, _ATTRIBUTE_GRAPHS = 4, 5, (6, 11)
_ATTRIBUTE_TENSORS, _ATTRIBUTE_SPARSE = (5, 10), (22, 23)
_SPARSE_TENSORS = (1, 2)  # values and indices
_TENSOR_EXTERNAL = 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

# integer arithmetic, or weights of few bits, by ONNX's own operators and ONNX Runtime's
_QUANTISED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
    "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QGemm", "QAttention",
    "QEmbedLayerNormalization", "QOrderedMatMul", "MatMulNBits", "MatMulBnb4", "GatherBlockQuantized",
)  # fmt: skip


class OnnxFile(Noun, frozen=True, kw_only=True):
    """The contents of the file. `external` holds the relative paths of separate weight files."""

    ir: int
    quantised: bool
    external: tuple[str, ...]


def look(path: Path) -> OnnxFile:
    """Reads the structure; weights are skipped, not read.

    Raises:
        ValueError: it is not an ONNX model, or is truncated.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _model(
        memoryview(mapped)
    )  # the mapping closes with its last view: an exception's traceback may hold one


def _model(data: memoryview) -> OnnxFile:
    ir, opsets = 0, False
    operators: set[str] = set()
    external: set[str] = set()
    graphs = 0
    for number, value in protobuf.fields(data):
        if number == _MODEL_IR and isinstance(value, int):
            ir = value
        elif number == _MODEL_OPSET and isinstance(value, memoryview):
            opsets |= any(n == _OPSET_VERSION and isinstance(v, int) for n, v in protobuf.fields(value))
        elif number == _MODEL_GRAPH and isinstance(value, memoryview):
            graphs += 1
            operators |= _operators(value, _GRAPH_NODE)
            external |= _external(value, _GRAPH_NODE)
        elif number == _MODEL_FUNCTION and isinstance(value, memoryview):
            operators |= _operators(value, _FUNCTION_NODE)
            external |= _external(value, _FUNCTION_NODE)
    if not (ir and graphs and opsets and operators):
        raise ValueError("no model, graph or opset")
    quantised = any(name in _QUANTISED or name.startswith("QLinear") for name in operators)
    return OnnxFile(ir=ir, quantised=quantised, external=tuple(sorted(external)))


def _operators(graph: memoryview, number: int) -> set[str]:
    """Names of the operators in a graph or function, including those of nested graphs."""
    found = set()
    for node in protobuf.children(graph, number):
        found.add(protobuf.text(node, _NODE_OP))
        for attribute in protobuf.children(node, _NODE_ATTRIBUTE):
            for field in _ATTRIBUTE_GRAPHS:
                for inner in protobuf.children(attribute, field):
                    found |= _operators(inner, _GRAPH_NODE)
    return found


def _external(graph: memoryview, number: int) -> set[str]:
    """Paths of the external files that a graph or function refers to: in weights, attributes and nested graphs."""
    found = set()
    if number == _GRAPH_NODE:
        for tensor in protobuf.children(graph, _GRAPH_INITIALIZER):
            found |= _locations(tensor)
        for sparse in protobuf.children(graph, _GRAPH_SPARSE):
            found |= _sparse_locations(sparse)
    for node in protobuf.children(graph, number):
        for attribute in protobuf.children(node, _NODE_ATTRIBUTE):
            for field, value in protobuf.fields(attribute):
                if not isinstance(value, memoryview):
                    continue
                if field in _ATTRIBUTE_TENSORS:
                    found |= _locations(value)
                elif field in _ATTRIBUTE_SPARSE:
                    found |= _sparse_locations(value)
                elif field in _ATTRIBUTE_GRAPHS:
                    found |= _external(value, _GRAPH_NODE)
    return found


def _sparse_locations(sparse: memoryview) -> set[str]:
    tensors = (tensor for field in _SPARSE_TENSORS for tensor in protobuf.children(sparse, field))
    return {location for tensor in tensors for location in _locations(tensor)}


def _locations(tensor: memoryview) -> set[str]:
    return {
        protobuf.text(entry, _ENTRY_VALUE)
        for entry in protobuf.children(tensor, _TENSOR_EXTERNAL)
        if protobuf.text(entry, _ENTRY_KEY) == "location"
    }
