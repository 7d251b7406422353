"""Whole numbers of a graph that hang on shapes alone become constants, by ONNX Runtime's optimiser. Host side, in the `onnx` worker.

Exporters compute the shapes of Reshapes, which are fixed where the inputs' are. Layers keep their names: what the optimiser
fuses is left out.
"""

_LARGEST = 1 << 20  # elements: a table that large is no shape


def folded(model):
    """The model with them as initialisers, and without what computed them: a copy where there are any."""
    made = type(model).FromString(model.SerializeToString())
    graph = made.graph
    found = _constants(graph, _optimised(made))
    if not found:
        return model
    kept = [node for node in graph.node if not set(node.output) & set(found)]
    graph.initializer.extend(found.values())
    _replace(graph, _read(kept, {item.name for item in graph.output}))
    return made


def _optimised(model):
    """The graph as the runtime's basic optimisations make it."""
    import tempfile
    from pathlib import Path

    import onnx
    import onnxruntime

    from edgewright.compile import onnxsession

    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.optimized_model_filepath = str(Path(scratch) / "folded.onnx")
        onnxsession.session(model.SerializeToString(), settings)
        return onnx.load(settings.optimized_model_filepath).graph


def _constants(graph, optimised):
    """{name: tensor} of whole numbers that nodes take computed here and constant there; there, equal constants have one name."""
    import math

    from onnx import TensorProto

    whole = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
    held = {
        item.name: item
        for item in optimised.initializer
        if item.data_type in whole and math.prod(item.dims) <= _LARGEST
    }
    computed = {name for node in graph.node for name in node.output}
    same = {(node.op_type, *node.output): node.input for node in optimised.node}
    found = {}
    for node in graph.node:
        there = same.get((node.op_type, *node.output), ())
        for name, other in zip(node.input, there, strict=False):
            if name in computed and other in held and name not in found:
                found[name] = type(held[other]).FromString(held[other].SerializeToString())
                found[name].name = name
    return found


def _read(nodes, wanted):
    """Those nodes that the outputs need, in their order."""
    from edgewright_targets.onnxruntime.prepare import reads

    wanted, left = set(wanted), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            left.append(node)
            wanted.update(reads(node))
    return left[::-1]


def _replace(graph, nodes):
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
