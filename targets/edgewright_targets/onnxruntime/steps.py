"""How finely the outputs of an ONNX file are rounded. Host side, in the `onnx` worker."""

_ROUND = ("QuantizeLinear", "DequantizeLinear")
_SAME = (*_ROUND, "Identity", "Cast")
_MOVES = (
    "Concat", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "DepthToSpace", "SpaceToDepth",
)  # fmt: skip
_DOMAINS = ("", "ai.onnx", "com.microsoft")


def tails(path, outputs):
    """A `compile.tails.Tail`, or None, for each named output."""
    import onnx

    from edgewright.compile.tails import tail

    graph = read(onnx.load(str(path), load_external_data=False))
    return [tail(graph, name) for name in outputs]


def read(model):
    """A `compile.tails.Graph` of a ModelProto."""
    from edgewright.compile.tails import Graph

    arrays = _arrays(model)
    fixed = {item.name for item in model.graph.initializer} | set(arrays)
    opset = max([item.version for item in model.opset_import if item.domain in ("", "ai.onnx")], default=1)
    moves, steps = [], {}
    for node in model.graph.node:
        if node.op_type in _ROUND and node.domain in _DOMAINS and node.input[1] in arrays:
            whole = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
            steps[whole] = float(arrays[node.input[1]].max())
        move = _move(node, arrays, opset)
        if move:
            moves.append(move)
    kinds = {name: node.op_type.lower() for node in model.graph.node for name in node.output}
    return Graph(moves, steps, _shapes(model), kinds, fixed)


def _arrays(model):
    """{name: values} of the constants that are in the file itself."""
    from onnx import TensorProto, numpy_helper

    constants = [(item.name, item) for item in model.graph.initializer]
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants += [(node.output[0], item.t) for item in node.attribute if item.name == "value"]
    return {
        name: numpy_helper.to_array(item)
        for name, item in constants
        if item.data_location != TensorProto.EXTERNAL
    }


def _move(node, arrays, opset):
    """The node as a `compile.tails.Move`; None where it computes something, or moves by what is computed."""
    from edgewright.compile.tails import Move

    if node.domain not in _DOMAINS:
        return None
    if node.op_type in _SAME:
        return Move((node.input[0],), (node.output[0],), lambda given: given)
    if node.op_type not in _MOVES:
        return None
    count = len(node.input) if node.op_type == "Concat" else 1
    others = [name for name in node.input[count:] if name]
    if any(name not in arrays for name in others) or "" in node.output:
        return None

    def apply(given):
        from onnx.reference import ReferenceEvaluator

        feed = dict(zip(node.input[:count], given, strict=True))
        feed.update({name: arrays[name] for name in others})
        return ReferenceEvaluator(node, opsets={"": opset}).run(None, feed)

    return Move(tuple(node.input[:count]), tuple(node.output), apply)


def _shapes(model):
    """{name: shape} of the tensors whose shape can be inferred. The runtime's own roundings would end that, so they go."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for node in bare.graph.node:
        if node.op_type in _ROUND:
            node.op_type, node.domain = "Identity", ""
            del node.input[1:], node.attribute[:]
    del bare.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    found = {item.name: list(item.dims) for item in graph.initializer}
    for item in [*graph.input, *graph.value_info, *graph.output]:
        axes = item.type.tensor_type.shape.dim
        if item.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[item.name] = [axis.dim_value for axis in axes]
    return found
