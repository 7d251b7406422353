"""Reads the operators and tensors of a .tflite file. Host side."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_litert.schema_py_generated import Model, ModelT, SubGraphT, TensorMapT, TensorT

    Array = np.ndarray[Any, Any]


# type: the schema's name, such as INT8; constant: its values are in the file; scales: how many there are
Tensor = namedtuple("Tensor", "name type constant scales")
# kind: the schema's name, or the name of a custom operator
Operator = namedtuple("Operator", "kind version custom inputs outputs")

_LARGEST = 2_000_000_000  # about the most that a flatbuffer can hold, bytes
INTEGERS = ("INT8", "UINT8", "INT16", "INT4", "INT2")
_BROADCAST = {"PADV2": (2,), "SELECT_V2": (1, 2), "MAXIMUM": (0, 1)}  # inputs that take the output's scale
_LOWEST = -1e38  # values up to this stand for minus infinity


def opened(data: bytes) -> ModelT:
    """The schema's ModelT from the bytes, with all values in its buffers: a writer may have stored them after the model."""
    import numpy
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    for buffer in model.buffers:
        if buffer.offset > 1 and buffer.size:
            buffer.data = numpy.frombuffer(data, numpy.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def inlined(data: bytes) -> bytes:
    """The bytes with all values inside the model, if it is small enough: tflite-runtime 2.13 does not find others."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(data, 0)
    behind = any(model.Buffers(at).Offset() > 1 for at in range(model.BuffersLength()))
    return packed(opened(data), len(data)) if behind and len(data) < _LARGEST else data


def operators(data: bytes) -> list[Operator]:
    """The Operators in the bytes of a .tflite file, in all of its subgraphs."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = _names(schema.BuiltinOperator)
    types = _names(schema.TensorType)
    model = schema.Model.GetRootAsModel(data, 0)
    found = []
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        tensors = [_tensor(model, graph.Tensors(at), types) for at in range(graph.TensorsLength())]
        for at in range(graph.OperatorsLength()):
            operator = graph.Operators(at)
            code = model.OperatorCodes(operator.OpcodeIndex())
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = number == schema.BuiltinOperator.CUSTOM
            kind = (code.CustomCode() or b"custom").decode() if custom else kinds[number]
            ends = [
                tuple(tensors[one] for one in range_ if one >= 0)
                for range_ in (_indexes(operator.InputsAsNumpy()), _indexes(operator.OutputsAsNumpy()))
            ]
            found.append(Operator(kind, code.Version(), custom, *ends))
    return found


def constants(data: bytes) -> set[int]:
    """Indexes of the first subgraph's tensors whose values are stored in the file."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    return {
        at
        for at in range(graph.TensorsLength())
        if model.Buffers(graph.Tensors(at).Buffer()).DataLength()
        or model.Buffers(graph.Tensors(at).Buffer()).Size()
    }


def lowest_fills(data: bytes) -> dict[str, str]:
    """{output: input}, by name, of the first subgraph's PADV2s that fill with the lowest float, which is never the maximum."""
    import numpy
    from ai_edge_litert import schema_py_generated as schema

    model = opened(data)
    graph, found = model.subgraphs[0], {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.PADV2:
            continue
        given, _, fill = (graph.tensors[index] for index in operator.inputs)
        values = model.buffers[fill.buffer].data
        if (
            fill.type != schema.TensorType.FLOAT32 or values is None or not len(values)
        ):  # another type, or computed
            continue
        if numpy.asarray(values, numpy.uint8).view("<f4").max() <= _LOWEST:
            made = graph.tensors[operator.outputs[0]]
            found[made.name.decode("utf-8", "replace")] = given.name.decode("utf-8", "replace")
    return found


def output_names(data: bytes) -> list[str]:
    """Names of the first subgraph's outputs, in order."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAsModel(data, 0).Subgraphs(0)
    return [
        (graph.Tensors(at).Name() or b"").decode("utf-8", "replace")
        for at in _indexes(graph.OutputsAsNumpy())
    ]


def quantised(data: bytes) -> bool:
    """Whether some tensor holds small integers with a scale, or half-precision weights."""
    return any(
        (tensor.type in INTEGERS and tensor.scales) or (tensor.type == "FLOAT16" and tensor.constant)
        for operator in operators(data)
        for tensor in (*operator.inputs, *operator.outputs)
    )


def widened(data: bytes) -> bytes:
    """The bytes with half-precision weights, followed by a DEQUANTIZE, turned into floats: otherwise nothing quantises them."""
    import numpy
    from ai_edge_litert import schema_py_generated as schema

    if not any(tensor.type == "FLOAT16" for operator in operators(data) for tensor in operator.inputs):
        return data
    model = opened(data)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for graph in model.subgraphs:
        for operator in list(graph.operators):
            if codes[operator.opcodeIndex] != schema.BuiltinOperator.DEQUANTIZE:
                continue
            given, made = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
            halves, floats = model.buffers[given.buffer].data, schema.BufferT()
            if given.type != schema.TensorType.FLOAT16 or halves is None:
                continue
            floats.data = numpy.asarray(halves, numpy.uint8).view("<f2").astype("<f4").view(numpy.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(floats)
            graph.operators.remove(operator)
    drop_unused(model)
    return packed(model, 2 * len(data))


def drop_unused(model: ModelT) -> None:
    """Empties the buffers that no tensor uses any more."""
    used = {
        graph.tensors[at].buffer
        for graph in model.subgraphs
        for part in (graph, *graph.operators)
        for ends in (part.inputs, part.outputs)
        for at in ([] if ends is None else ends)
        if at >= 0
    }
    used.update(item.buffer for item in model.metadata or ())
    for at, buffer in enumerate(model.buffers):
        if at not in used:
            buffer.data = None


def with_signature(data: bytes) -> bytes:
    """The bytes with a signature, `serving_default`, added if the file has none: ai-edge-quantizer fails without one."""
    from ai_edge_litert import schema_py_generated as schema

    if schema.Model.GetRootAsModel(data, 0).SignatureDefsLength():
        return data
    model = opened(data)
    graph, signature = model.subgraphs[0], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [_end(schema, graph, "input", *pair) for pair in enumerate(graph.inputs)]
    signature.outputs = [_end(schema, graph, "output", *pair) for pair in enumerate(graph.outputs)]
    model.signatureDefs = [signature]
    return packed(model, len(data))


def with_ranks(data: bytes) -> bytes:
    """The bytes with constants extended to as many axes as the output whose scale they take: ai-edge-quantizer fails otherwise.

    Converters give them fewer axes, as for the fill value of a padding; leading axes of 1 change no result.
    """
    import copy

    import numpy
    from ai_edge_litert import schema_py_generated as schema

    if not {operator.kind for operator in operators(data)} & set(_BROADCAST):
        return data
    model = opened(data)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    kinds = [_names(schema.BuiltinOperator)[code] for code in codes]
    for graph in model.subgraphs:
        uses = [
            graph.tensors[one].buffer for operator in graph.operators for one in operator.inputs if one >= 0
        ]
        for number, operator in enumerate(graph.operators):
            rank = len(_shape(graph.tensors[operator.outputs[0]]))
            for at in _BROADCAST.get(kinds[operator.opcodeIndex], ()):
                tensor = graph.tensors[operator.inputs[at]]
                shape = _shape(tensor)
                constant = model.buffers[tensor.buffer].data is not None
                if not constant or tensor.type != schema.TensorType.FLOAT32 or len(shape) >= rank:
                    continue
                if uses.count(tensor.buffer) > 1:  # each use has its own scale, and so needs its own values
                    tensor = copy.copy(tensor)
                    tensor.name = (tensor.name or b"") + f"/{number}".encode()
                    model.buffers.append(copy.copy(model.buffers[tensor.buffer]))
                    tensor.buffer = len(model.buffers) - 1
                    operator.inputs = [*operator.inputs[:at], len(graph.tensors), *operator.inputs[at + 1 :]]
                    graph.tensors.append(tensor)
                tensor.shape = numpy.array([1] * (rank - len(shape)) + shape, numpy.int32)
    return packed(model, len(data))


def _shape(tensor: TensorT) -> list[int]:
    return [] if tensor.shape is None else [int(one) for one in tensor.shape]


def packed(model: ModelT, size: int) -> bytes:
    """The bytes of a schema's ModelT. `size`: their approximate number."""
    import flatbuffers

    builder = flatbuffers.Builder(size + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _end(schema: Any, graph: SubGraphT, kind: str, index: int, tensor: int) -> TensorMapT:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = graph.tensors[tensor].name or f"{kind}_{index}", int(tensor)
    return made


def _tensor(model: Model, tensor: Any, types: dict[int, str]) -> Tensor:
    buffer = model.Buffers(tensor.Buffer())
    quantisation = tensor.Quantization()
    return Tensor(
        (tensor.Name() or b"").decode("utf-8", "replace"),
        types[tensor.Type()],
        bool(buffer.DataLength() or buffer.Size()),
        quantisation.ScaleLength() if quantisation else 0,
    )


def _indexes(array: Array) -> list[int]:
    return [] if isinstance(array, int) else [int(one) for one in array]


def _names(table: Any) -> dict[int, str]:
    return {value: name for name, value in vars(table).items() if isinstance(value, int)}
