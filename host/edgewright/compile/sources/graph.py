"""TensorFlow 1 graphs: frozen `.pb` files, and graphs that a session loads from a SavedModel."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.compile.inspection import graph_def, unsafe_operators
from edgewright.compile.inspection.graph_def import source
from edgewright.compile.inspection.graph_flow import run_by, upstream
from edgewright.compile.sources.names import clean, given_shapes, unique
from edgewright.compile.sources.shapes import static_shapes
from edgewright.compile.sources.tensorflow_model import TensorflowModel, axes, dtype
from edgewright.compile.workers.framework_errors import telling
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

_SIDE_EFFECTS = (
    "NoOp",
    "Assert",
    "Const",
    "Placeholder",
    "PlaceholderWithDefault",
    "SaveV2",
    "MergeV2Checkpoints",
)


def open_file(path: Path, shapes: dict[str, tuple[int, ...]], ends: Ends) -> TensorflowModel:
    """Opens a `frozen` source. If inputs and outputs are not named they are guessed, with a note.

    Raises:
        ModelError: it cannot be read or run, has no such inputs or outputs, or has dynamic axes beyond the batch.
    """
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except Exception as error:
        raise ModelError(
            f"TensorFlow cannot read {path.name}: {telling(error)}",
            hint="freeze it again",
            code=Code.MODEL_UNREADABLE,
        ) from error
    return open_graph(graph_def, path, shapes, ends)


def open_graph(
    graph_def: Any,
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    ends: Ends,
    names: Sequence[str] = (),
) -> TensorflowModel:
    """The model of a GraphDef without variables, between `ends` (tensor or node names).

    Args:
        names: a signature's names of the inputs; by default the names in the graph.
    """
    graph = _imported(graph_def, path)
    notes = []
    nodes = {node.name: node for node in graph_def.node}
    starts = [_tensor(name, nodes) for name in ends.inputs]
    stops = [_tensor(name, nodes) for name in ends.outputs]
    if not starts:
        starts = [f"{node.name}:0" for node in graph_def.node if node.op == "Placeholder"]
        notes.append(f"inputs were guessed: {', '.join(_plain(starts)) or 'none'}")
    if not stops:
        stops = _sinks(graph_def, nodes)
        notes.append(f"outputs were guessed: {', '.join(_plain(stops)) or 'none'}")
    if not starts or not stops:
        raise ModelError(
            f"graph has no {'outputs' if starts else 'inputs'} that can be guessed: {path.name}",
            hint="name them: --inputs A,B --outputs C",
            code=Code.NO_SUCH_END,
        )
    kept = _between(nodes, starts, stops)
    tensors = [graph.get_tensor_by_name(name) for name in starts]
    plain = _plain(starts)
    names = unique(names or plain)
    open_axes = {name: axes(tensor.shape) for name, tensor in zip(names, tensors, strict=True)}
    fixed = static_shapes(open_axes, given_shapes(shapes, names, plain))
    specs = [
        TensorSpec(name=name, shape=fixed.shapes[name], dtype=dtype(tensor.dtype.name, name))
        for name, tensor in zip(names, tensors, strict=True)
    ]
    cut = _cut(graph_def, kept, starts, specs)
    _refuse_unsafe(cut, path)
    model = _model(cut, path, specs, stops)
    model.notes = (*notes, *fixed.notes)
    return model


def _imported(graph_def: Any, path: Path) -> Any:
    import tensorflow as tf

    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.compat.v1.import_graph_def(graph_def, name="")
    except Exception as error:
        text = telling(error)
        custom = "Op type not registered" in str(error)
        raise ModelError(
            f"TensorFlow cannot load {path.name}: {text}",
            hint="custom operators cannot be converted; name ends that leave it out: --inputs A --outputs B"
            if custom
            else "freeze it again with the TensorFlow that it was trained with",
            code=Code.MODEL_UNREADABLE,
        ) from error
    return graph


def _tensor(name: str, nodes: dict[str, Any]) -> str:
    """`image` or `image:0` -> `image:0`."""
    node, _, index = name.partition(":")
    if node in nodes and (not index or index.isdecimal()):
        return f"{node}:{index or 0}"
    near = (
        difflib.get_close_matches(node, nodes, n=3, cutoff=0.5)
        or [known for known in nodes if node.lower() in known.lower()][:3]
    )
    placeholders = [known for known, item in nodes.items() if item.op == "Placeholder"][:5]
    raise ModelError(
        f"graph has no tensor {name}",
        hint=f"did you mean {' or '.join(near)}?"
        if near
        else f"its placeholders are {', '.join(placeholders)}",
        code=Code.NO_SUCH_END,
    )


def _plain(names: Sequence[str]) -> list[str]:
    return [name.removesuffix(":0") for name in names]


def _placeholders(specs: Sequence[TensorSpec]) -> list[str]:
    """Names of the nodes that represent the inputs."""
    return [f"edgewright_{name}" for name in clean([spec.name for spec in specs])]


def _sinks(graph_def: Any, nodes: dict[str, Any]) -> list[str]:
    """Tensors that depend on a placeholder and that nothing reads, in the graph's order."""
    used = {source(text) for node in graph_def.node for text in node.input}
    free = [n.name for n in graph_def.node if n.name not in used and n.op not in _SIDE_EFFECTS]
    found, inputs = [], _inputs(nodes)
    for name in free:
        if any(nodes[item].op == "Placeholder" for item in upstream(inputs, [name])):
            found.append(f"{name}:0")
    return found


def _inputs(nodes: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(map(source, node.input)) for name, node in nodes.items()}


def _between(nodes: dict[str, Any], starts: Sequence[str], stops: Sequence[str]) -> set[str]:
    """Names of the nodes from the starts to the stops.

    Raises:
        ModelError: a start does not lead to a stop, or the stops depend on another placeholder.
    """
    begin = {source(name) for name in starts}
    kept = upstream(_inputs(nodes), map(source, stops), begin)
    idle = sorted(begin - kept)
    if idle:
        raise ModelError(
            f"outputs do not depend on input {idle[0]}: {', '.join(_plain(stops))}",
            hint="leave it out: --inputs names only those that matter",
            code=Code.NO_SUCH_END,
        )
    others = sorted(name for name in kept - begin if nodes[name].op == "Placeholder")
    if others:
        raise ModelError(
            f"outputs depend on a placeholder that is not an input: {others[0]}",
            hint="add it to --inputs, or freeze the graph with a constant in its place",
            code=Code.NO_SUCH_END,
        )
    return kept


def _cut(graph_def: Any, kept: set[str], starts: Sequence[str], specs: Sequence[TensorSpec]) -> Any:
    """The kept nodes, with a placeholder of static shape for each start."""
    import tensorflow as tf

    cut = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    names = _placeholders(specs)
    fed = dict(zip(starts, names, strict=True))
    replaced = {source(name) for name in starts}
    placeholders = tf.Graph()
    with placeholders.as_default():
        for spec, name in zip(specs, names, strict=True):
            tf.compat.v1.placeholder(spec.dtype, spec.shape, name=name)
    cut.node.extend(placeholders.as_graph_def().node)
    for node in graph_def.node:
        if node.name not in kept or node.name in replaced:
            continue
        copy = cut.node.add()
        copy.CopyFrom(node)
        copy.device = ""
        copy.attr.pop("_class", None)  # it may name a node that was removed
        for index, text in enumerate(copy.input):
            match = fed.get(text if ":" in text else f"{text}:0")
            if match is not None:
                copy.input[index] = match
            elif source(text) in replaced:
                copy.input[index] = f"^{fed[f'{source(text)}:0']}"
    return cut


def _refuse_unsafe(cut: Any, path: Path) -> None:
    """Raises ModelError if the model itself runs operators that are only acceptable elsewhere in a SavedModel."""
    cut_graph, functions = graph_def.graph(memoryview(cut.SerializeToString()))
    operators = {node.op for node in run_by(cut_graph, functions)}
    beside = unsafe_operators.SAVING | unsafe_operators.RESTORING | unsafe_operators.TABLES
    found = {one for one in operators if one in beside or unsafe_operators.named_unsafe(one)}
    if found:
        raise unsafe_operators.refusal(path, found)


def _model(cut: Any, path: Path, specs: Sequence[TensorSpec], stops: Sequence[str]) -> TensorflowModel:
    import tensorflow as tf
    from tensorflow.python.eager import context

    for function in cut.library.function:  # eager execution does not know an imported graph's functions
        context.context().add_function_def(function)
    starts = [f"{name}:0" for name in _placeholders(specs)]
    outputs = unique(_plain(stops))
    try:
        if not any(node.op == "Enter" for node in cut.node):

            def call(*tensors: Any) -> Any:
                fed = dict(zip(starts, tensors, strict=True))
                return tf.graph_util.import_graph_def(
                    cut, input_map=fed, return_elements=list(stops), name=""
                )

            return TensorflowModel(call, specs, outputs, None)
        wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(cut, name=""), [])
        find = wrapped.graph.as_graph_element
        pruned = wrapped.prune([find(name) for name in starts], [find(name) for name in stops])
        model = TensorflowModel(pruned, specs, outputs, pruned)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"graph cannot be run: {path.name}: {telling(error)}",
            hint="--input-shape may not fit, or --inputs and --outputs leave something out",
            code=Code.MODEL_UNREADABLE,
        ) from error
    model.loops = (cut, starts, list(stops))
    return model
