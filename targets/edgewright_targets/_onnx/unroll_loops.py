"""Unrolls loops of an ONNX graph with a fixed count, such as recurrent layers from TensorFlow.

Host side, in the `onnx` worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.prepare_for_quantization import opset_of, reads

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from edgewright.sdk import StageContext


_MAX_NODES = 20_000  # nodes of an unrolled loop: with more, an IR takes minutes to load


def unroll(model: ModelProto, work: StageContext) -> None:
    """Unrolls the loops whose number of steps does not depend on the model's input, in place."""
    loops = [
        node for node in model.graph.node if node.op_type == "Loop" and _is_unrollable(model.graph, node)
    ]
    for loop, steps in zip(loops, _steps(model, loops, work), strict=True):
        body = next(item.g for item in loop.attribute if item.name == "body")
        if 0 < steps * len(body.node) <= _MAX_NODES:
            _replace(model, loop, body, steps)
    _drop_unread(model.graph)


def _is_unrollable(graph: GraphProto, loop: NodeProto) -> bool:
    """Whether neither the loop's condition nor its limit depends on the model's input."""
    body = next(item.g for item in loop.attribute if item.name == "body")
    if any(item.HasField("g") or item.graphs for node in body.node for item in node.attribute):
        return False
    carried = {item.name: place for place, item in enumerate(body.input) if place > 1}
    wanted, seen = [body.output[0].name], set()
    outside = set(filter(None, loop.input[:2]))
    makers = _makers(body)
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in makers:
            wanted += filter(None, makers[name].input)
        elif name in carried:  # its value before the loop, and its value after a step
            outside.add(loop.input[carried[name]])
            wanted.append(body.output[carried[name] - 1].name)
        elif name not in {item.name for item in body.input[:2]}:
            outside.add(name)
    return not _depends(graph, outside)


def _makers(graph: GraphProto) -> dict[str, NodeProto]:
    return {output: node for node in graph.node for output in node.output if output}


def _depends(graph: GraphProto, names: set[str]) -> bool:
    """Whether any of the names is computed from an input of the graph, even through an inner graph."""
    weights = {item.name for item in graph.initializer}
    given = {item.name for item in graph.input} - weights
    makers, wanted, seen = _makers(graph), list(names), set()
    while wanted:
        name = wanted.pop()
        if name in given:
            return True
        if name in makers and name not in seen:
            wanted += reads(makers[name])
        seen.add(name)
    return False


def _steps(model: ModelProto, loops: list[NodeProto], work: StageContext) -> list[int]:
    """How often each loop runs, counted in ONNX Runtime."""
    import onnx
    from onnx import TensorProto, helper

    from edgewright.sdk.onnx import session

    if not loops:
        return []
    counting = type(model).FromString(model.SerializeToString())
    names = []
    for loop in loops:
        copy = next(node for node in counting.graph.node if node.output == loop.output)
        body = next(item.g for item in copy.attribute if item.name == "body")
        names.append(f"{loop.output[0]}_steps")
        body.node.append(helper.make_node("Identity", [body.input[0].name], [names[-1]]))
        body.output.append(helper.make_tensor_value_info(names[-1], TensorProto.INT64, []))
        copy.output.append(names[-1])
        counting.graph.output.append(helper.make_tensor_value_info(names[-1], TensorProto.INT64, [None]))
    del counting.graph.value_info[:]
    counting = onnx.shape_inference.infer_shapes(counting)
    opened = session(counting.SerializeToString())
    feed = {spec.name: array for spec, array in zip(work.inputs, next(work.samples(1)), strict=True)}
    return [len(one) for one in opened.run(names, feed)]


def _replace(model: ModelProto, loop: NodeProto, body: GraphProto, steps: int) -> None:
    import numpy
    from onnx import helper, numpy_helper

    graph, prefix = model.graph, loop.name or loop.output[0]
    shared = {}
    for item in body.initializer:
        shared[item.name] = f"{prefix}/{item.name}"
        graph.initializer.add().CopyFrom(item)
        graph.initializer[-1].name = shared[item.name]
    state = list(loop.input[2:])
    scanned: list[list[str]] = [[] for _ in loop.output[len(loop.input) - 2 :]]
    going = f"{prefix}/going"
    graph.initializer.append(numpy_helper.from_array(numpy.array(True), going))
    made = []
    for step in range(steps):
        number = f"{prefix}/{step}"
        graph.initializer.append(numpy_helper.from_array(numpy.array(step, numpy.int64), number))
        given = [number, going, *state]
        names = {**shared, **{item.name: name for item, name in zip(body.input, given, strict=True)}}
        made += _copies(body, names, number)
        results = [names.get(item.name, item.name) for item in body.output[1:]]
        state = results[: len(state)]
        for row, name in zip(scanned, results[len(state) :], strict=True):
            row.append(name)
    made += [
        helper.make_node("Identity", [name], [output])
        for name, output in zip(state, loop.output, strict=False)
        if output
    ]
    for row, output in zip(scanned, loop.output[len(state) :], strict=True):
        made += _stacked(model, row, output)
    place = next(index for index, node in enumerate(graph.node) if node.output == loop.output)
    nodes = [*graph.node[:place], *made, *graph.node[place + 1 :]]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]


def _copies(body: GraphProto, names: dict[str, str], prefix: str) -> list[NodeProto]:
    """The body's nodes for one step; adds the step's outputs to `names`."""
    found = []
    for node in body.node:
        copy = type(node).FromString(node.SerializeToString())
        copy.name = f"{prefix}/{node.name or node.output[0]}"
        copy.input[:] = [names.get(name, name) for name in node.input]
        for name in filter(None, node.output):
            names[name] = f"{prefix}/{name}"
        copy.output[:] = [names.get(name, "") for name in node.output]
        found.append(copy)
    return found


def _stacked(model: ModelProto, row: list[str], output: str) -> list[NodeProto]:
    """The steps' values along a new first axis."""
    import numpy
    from onnx import helper, numpy_helper

    if not output:
        return []
    lifted = [f"{output}/{step}" for step in range(len(row))]
    if opset_of(model) < 13:  # since opset 13, axes are an input
        nodes = [
            helper.make_node("Unsqueeze", [one], [up], axes=[0]) for one, up in zip(row, lifted, strict=True)
        ]
    else:
        axis = f"{output}/axis"
        model.graph.initializer.append(numpy_helper.from_array(numpy.array([0], numpy.int64), axis))
        nodes = [
            helper.make_node("Unsqueeze", [one, axis], [up]) for one, up in zip(row, lifted, strict=True)
        ]
    return [*nodes, helper.make_node("Concat", lifted, [output], axis=0)]


def _drop_unread(graph: GraphProto) -> None:
    """Removes, in place, nodes that no output depends on: they only counted."""
    makers = _makers(graph)
    wanted, read = [item.name for item in graph.output], set()
    while wanted:
        name = wanted.pop()
        if name in read:
            continue
        read.add(name)
        if name in makers:
            wanted += reads(makers[name])
    nodes = [node for node in graph.node if read & set(node.output)]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
