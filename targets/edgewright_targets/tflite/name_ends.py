"""Names the inputs and outputs of a .tflite file: its tensors, and its single signature. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_litert.schema_py_generated import SubGraphT, TensorMapT, TensorT

    Array = np.ndarray[Any, Any]


SIGNATURE = "serving_default"


def ordered(data: bytes, inputs: list[str], outputs: list[str]) -> bytes:
    """The bytes with the first subgraph's inputs and outputs in the order of the names, if all names exist."""
    from edgewright.sdk import tflite

    schema, model = tflite.read(data)
    if model is None:
        return data
    graph = model.subgraphs[0]
    before = [int(at) for at in (*graph.inputs, *graph.outputs)]
    graph.inputs, graph.outputs = (
        _by_name(graph, graph.inputs, inputs),
        _by_name(graph, graph.outputs, outputs),
    )
    same = before == [int(at) for at in (*graph.inputs, *graph.outputs)]
    return data if same else tflite.packed(schema, model)


def named(data: bytes, inputs: list[str], outputs: list[str]) -> bytes:
    """The bytes with these names for the first subgraph's inputs and outputs, in their order.

    The signature gets the same names, so that applications can use them (`get_signature_runner`). The bytes do not change if
    weights are stored outside of the flatbuffer, or if the number of tensors differs from that of the names.
    """
    from edgewright.sdk import tflite

    schema, model = tflite.read(data)
    if model is None:
        return data
    graph, signature = model.subgraphs[0], schema.SignatureDefT()
    if len(graph.inputs) != len(inputs) or len(graph.outputs) != len(outputs):
        return data
    _free(graph, {*inputs, *outputs})
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs = _map(schema, graph, graph.inputs, inputs)
    signature.outputs = _map(schema, graph, graph.outputs, outputs)
    model.signatureDefs = [signature]
    return tflite.packed(schema, model)


def _by_name(graph: SubGraphT, indexes: Array, names: list[str]) -> Array:
    """Indexes of the tensors in the order of the names; unchanged if other names are there."""
    import numpy

    there = {_text(graph.tensors[at]): int(at) for at in indexes}
    known = len(there) == len(names) and set(there) == set(names)
    return numpy.array([there[name] for name in names], numpy.int32) if known else indexes


def _free(graph: SubGraphT, names: set[str]) -> None:
    """Renames tensors that are neither inputs nor outputs but have one of the names."""
    ends = {int(at) for at in (*graph.inputs, *graph.outputs)}
    for at, tensor in enumerate(graph.tensors):
        if at not in ends and _text(tensor) in names:
            tensor.name = f"{_text(tensor)}#{at}"


def _map(schema: Any, graph: SubGraphT, indexes: Array, names: list[str]) -> list[TensorMapT]:
    """The signature's entries; also renames the tensors."""
    found = []
    for at, name in zip(indexes, names, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, int(at)
        graph.tensors[at].name = name
        found.append(entry)
    return found


def _text(tensor: TensorT) -> str:
    return (
        (tensor.name or b"").decode("utf-8", "replace")
        if isinstance(tensor.name, bytes)
        else tensor.name or ""
    )
