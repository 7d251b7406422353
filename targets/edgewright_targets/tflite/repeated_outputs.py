"""Outputs that have the value of another output, or that operators read too: converters make files that do not run. Host side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.tflite.graph import opened, packed

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT
    from onnx import GraphProto, ModelProto


_FILE = "repeated.json"
_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def taken_out(model: ModelProto) -> tuple[ModelProto, dict[str, str]]:
    """Takes them out of the graph's outputs, in a copy: other conversions take the source too.

    Returns:
        (the model, {output: the output that has its value}), the shapes the same.
    """
    made = type(model).FromString(model.SerializeToString())
    graph = made.graph
    origins = _origins(graph)
    groups: dict[str, list[str]] = {}
    given = {item.name for item in graph.input}
    for item in graph.output:
        origin = origins.get(item.name, item.name)
        if origin not in given:  # an input that goes through comes out right
            groups.setdefault(origin, []).append(item.name)
    found = {}
    for origin, names in groups.items():
        kept = origin if origin in names else names[0]
        found.update(dict.fromkeys((name for name in names if name != kept), kept))
    left = [item for item in graph.output if item.name not in found]
    kept_outputs = [type(item).FromString(item.SerializeToString()) for item in left]
    _rewire(graph, found)
    del graph.output[:]
    graph.output.extend(kept_outputs)
    return made, found


def _origins(graph: GraphProto) -> dict[str, str]:
    """{tensor: the one whose value and shape it has}."""
    known = [*graph.input, *graph.output, *graph.value_info]
    shapes = {item.name: [one.dim_value for one in item.type.tensor_type.shape.dim] for item in known}
    found: dict[str, str] = {}
    for node in graph.node:
        same = node.op_type in _RESHAPES and shapes.get(node.input[0], []) == shapes.get(node.output[0])
        if node.op_type == "Identity" or (same and 0 not in shapes[node.output[0]]):
            found[node.output[0]] = found.get(node.input[0], node.input[0])
    return found


def _rewire(graph: GraphProto, repeated: dict[str, str]) -> None:
    """Lets what reads the outputs that go read those that stay, and drops the copying nodes."""
    nodes = [node for node in graph.node if not set(node.output) & repeated.keys()]
    for node in nodes:
        node.input[:] = [repeated.get(name, name) for name in node.input]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def save(folder: Path, repeated: dict[str, str]) -> None:
    """Writes what `taken_out` found beside the file of the stage, for the one that finishes it."""
    if repeated:
        (folder / _FILE).write_text(json.dumps(repeated))


def load(folder: Path) -> dict[str, str]:
    """What `save` wrote; empty when it did not."""
    path = folder / _FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def put_back(data: bytes, repeated: dict[str, str], outputs: list[str]) -> bytes:
    """The finished bytes with a RESHAPE for each of them, which copies the other output as it is, integers too.

    A quantiser would not let one output be read by what makes another.

    Args:
        outputs: all names in the source's order; the file has those that are not repeated.
    """
    import numpy

    if not repeated:
        return data
    model = opened(data)
    graph = model.subgraphs[0]
    left = [name for name in outputs if name not in repeated]
    places = {name: int(at) for name, at in zip(left, graph.outputs, strict=True)}
    for name, other in repeated.items():
        places[name] = _copied(model, places[other], name)
    graph.outputs = numpy.array([places[name] for name in outputs], numpy.int32)
    return packed(model, len(data))


def apart(data: bytes) -> bytes:
    """The bytes with a copy of each output that operators read too: ai-edge-quantizer lets those read its floats as integers."""
    import numpy

    model = opened(data)
    graph = model.subgraphs[0]
    read = {int(at) for operator in graph.operators for at in operator.inputs}
    given = {int(at) for at in graph.inputs}
    if not (read - given) & {int(at) for at in graph.outputs}:
        return data
    outputs = []
    for at in map(int, graph.outputs):
        inside = at in read and at not in given
        outputs.append(_copied(model, at, f"{graph.tensors[at].name.decode()}/output") if inside else at)
    for signature in model.signatureDefs or ():
        places = dict(zip(map(int, graph.outputs), outputs, strict=True))
        for entry in signature.outputs:
            entry.tensorIndex = places.get(int(entry.tensorIndex), entry.tensorIndex)
    graph.outputs = numpy.array(outputs, numpy.int32)
    return packed(model, len(data))


def _copied(model: ModelT, at: int, name: str) -> int:
    """Index of a new tensor of the first subgraph that a RESHAPE copies from another."""
    import copy

    import numpy
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    source = graph.tensors[at]
    shape = numpy.asarray(source.shape, numpy.int32)
    axes, made, buffer = schema.TensorT(), copy.copy(source), schema.BufferT()
    axes.name, axes.type, axes.shape = f"{name}/shape", schema.TensorType.INT32, [len(shape)]
    axes.buffer, made.name, made.buffer = len(model.buffers), name, 0
    buffer.data = shape.view(numpy.uint8)
    model.buffers.append(buffer)
    graph.tensors += [axes, made]
    operator, last = schema.OperatorT(), len(graph.tensors) - 1
    operator.opcodeIndex = _reshape(model)
    operator.inputs, operator.outputs = [at, last - 1], [last]
    graph.operators.append(operator)
    return last


def _reshape(model: ModelT) -> int:
    """The index of RESHAPE among the model's operator codes."""
    from ai_edge_litert import schema_py_generated as schema

    kind = schema.BuiltinOperator.RESHAPE
    for at, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == kind:
            return at
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
