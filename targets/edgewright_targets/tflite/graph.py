"""The operators of a .tflite file and their tensors. Host side."""

from collections import namedtuple

# type: the schema's name, such as INT8; constant: its values are in the file; scales: how many there are
Tensor = namedtuple("Tensor", "name type constant scales")
# kind: the schema's name, or the name of a custom operator
Operator = namedtuple("Operator", "kind version custom inputs outputs")

INTEGERS = ("INT8", "UINT8", "INT16", "INT4", "INT2")


def operators(data):
    """The Operators in the bytes of a .tflite file, those of every subgraph."""
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


def constants(data):
    """Indexes of the first subgraph's tensors whose values are in the file."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    return {
        at
        for at in range(graph.TensorsLength())
        if model.Buffers(graph.Tensors(at).Buffer()).DataLength()
        or model.Buffers(graph.Tensors(at).Buffer()).Size()
    }


def output_names(data):
    """Names of the first subgraph's outputs, in order."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAsModel(data, 0).Subgraphs(0)
    return [
        (graph.Tensors(at).Name() or b"").decode("utf-8", "replace")
        for at in _indexes(graph.OutputsAsNumpy())
    ]


def quantised(data):
    """Whether some tensor holds small integers with a scale, or weights in halves."""
    return any(
        (tensor.type in INTEGERS and tensor.scales) or (tensor.type == "FLOAT16" and tensor.constant)
        for operator in operators(data)
        for tensor in (*operator.inputs, *operator.outputs)
    )


def with_signature(data):
    """The bytes with a signature, `serving_default`, where the file has none: ai-edge-quantizer fails without."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    if schema.Model.GetRootAsModel(data, 0).SignatureDefsLength():
        return data
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    graph, signature = model.subgraphs[0], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [_end(schema, graph, "input", *pair) for pair in enumerate(graph.inputs)]
    signature.outputs = [_end(schema, graph, "output", *pair) for pair in enumerate(graph.outputs)]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _end(schema, graph, kind, index, tensor):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = graph.tensors[tensor].name or f"{kind}_{index}", int(tensor)
    return made


def _tensor(model, tensor, types):
    buffer = model.Buffers(tensor.Buffer())
    quantisation = tensor.Quantization()
    return Tensor(
        (tensor.Name() or b"").decode("utf-8", "replace"),
        types[tensor.Type()],
        bool(buffer.DataLength() or buffer.Size()),
        quantisation.ScaleLength() if quantisation else 0,
    )


def _indexes(array):
    return [] if isinstance(array, int) else [int(one) for one in array]


def _names(table):
    return {value: name for name, value in vars(table).items() if isinstance(value, int)}
