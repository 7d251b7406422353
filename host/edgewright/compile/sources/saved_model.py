"""Opens SavedModels: with TensorFlow 2's loader, or in a session for those of TensorFlow 1 and Keras 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.compile.sources import end_types, graph, nondeterminism
from edgewright.compile.sources.names import given_shapes, unique
from edgewright.compile.sources.shapes import static_shapes
from edgewright.compile.sources.signatures import Signature, choose
from edgewright.compile.sources.tensorflow_model import TensorflowModel, axes, dtype
from edgewright.compile.workers.framework_errors import telling
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

# loops and variables that converters only support in a frozen graph
_TENSORFLOW_1 = ("Enter", "Variable", "VariableV2")
# list operators, and the index of the input that holds the elements' shape
_ELEMENT_SHAPE = {"TensorListReserve": 0, "TensorListFromTensor": 1, "TensorListStack": 1}


def open_folder(path: Path, shapes: dict[str, tuple[int, ...]], ends: Ends) -> TensorflowModel:
    """Opens a `savedmodel` source by its signature, or by `ends` if it has no signature.

    Raises:
        ModelError: as `tensorflow.open_model` does.
    """
    import tensorflow as tf

    if ends.inputs or ends.outputs:
        return _by_session(path, shapes, ends)
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
    except Exception as error:  # noqa: BLE001 - TensorFlow raises many kinds for a damaged folder
        try:
            return _by_session(path, shapes, ends)
        except ModelError as second:
            if second.code == Code.NO_SIGNATURE:
                raise
            raise _unreadable(path, error) from error
        except Exception:  # noqa: BLE001 - the first error says more
            raise _unreadable(path, error) from error
    if not signatures:
        return _by_session(path, shapes, ends)
    known = [Signature(name, *_names(signatures[name])) for name in sorted(signatures)]
    chosen, notes = choose(path, known, ends.signature)
    signature = signatures[chosen.name]
    for meta_graph in _graphs(path):
        if chosen.name in meta_graph.signature_def:
            _refuse_composite(path, meta_graph.signature_def[chosen.name])
    if any(operation.type in _TENSORFLOW_1 for operation in signature.graph.get_operations()):
        return _by_session(path, shapes, ends)
    model = _by_signature(signature, shapes, loaded)
    model.notes = (*notes, *model.notes)
    try:
        return _with_static_lists(model, path)
    except ValueError as error:  # a graph that assigns to variables cannot be frozen
        if kept := nondeterminism.keeping_state(model.operators()):
            raise nondeterminism.stateful(path, kept) from error
        raise


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"TensorFlow cannot load {path.name}: {telling(error)}",
        hint="export the SavedModel again",
        code=Code.MODEL_UNREADABLE,
    )


def _names(signature: Any) -> tuple[list[str], list[str]]:
    """Names of a signature's inputs and outputs."""
    return sorted(signature.structured_input_signature[1]), sorted(signature.structured_outputs)


def _by_signature(
    signature: Callable[..., Any], shapes: dict[str, tuple[int, ...]], loaded: Any
) -> TensorflowModel:
    arguments = signature.structured_input_signature[1]  # type: ignore[attr-defined]
    keys, outputs = _names(signature)
    names = unique(keys)
    open_axes = {name: axes(arguments[key].shape) for key, name in zip(keys, names, strict=True)}
    fixed = static_shapes(open_axes, given_shapes(shapes, names))
    specs = [
        TensorSpec(name=name, shape=fixed.shapes[name], dtype=dtype(arguments[key].dtype.name, name))
        for key, name in zip(keys, names, strict=True)
    ]

    def call(*arrays: Any) -> Any:
        answers = signature(**dict(zip(keys, arrays, strict=True)))
        return [answers[name] for name in outputs]

    model = TensorflowModel(call, specs, unique(outputs), loaded)
    model.notes = fixed.notes
    return model


def _with_static_lists(model: TensorflowModel, path: Path) -> TensorflowModel:
    """The model; if it has loops that were exported for any batch, a copy whose lists have the static batch.

    The constants that give list elements their shape contain -1 for a dynamic axis even if the input's shape is now static,
    and LiteRT's converter refuses that. TensorFlow checks shapes at run time, so a wrong one is an error.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(
        model.concrete, lower_control_flow=False, aggressive_inlining=True
    )
    graph_def = frozen.graph.as_graph_def()
    nodes = {node.name: node for node in graph_def.node}
    batch = model.inputs[0].shape[0] if model.inputs[0].shape else 1
    changed = False
    for node in graph_def.node:
        at = _ELEMENT_SHAPE.get(node.op)
        constant = None if at is None else nodes.get(node.input[at])
        if constant is None or constant.op != "Const":
            continue
        shape = tf.make_ndarray(constant.attr["value"].tensor)
        if shape.ndim == 1 and list(shape[:1]) == [-1]:
            shape[0] = batch
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(shape))
            changed = True
    if not changed:
        return model
    ends = Ends(
        inputs=tuple(item.name for item in frozen.inputs), outputs=tuple(item.name for item in frozen.outputs)
    )
    made = graph.open_graph(graph_def, path, {}, ends)
    made.inputs, made.output_names, made.notes = model.inputs, model.output_names, model.notes
    return made


def _by_session(path: Path, shapes: dict[str, tuple[int, ...]], ends: Ends) -> TensorflowModel:
    """Loads variables and graph as TensorFlow 1 did, freezes the graph, and continues as for a frozen graph."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        signatures = v1.saved_model.load(session, _tags(path), str(path)).signature_def
        named = bool(ends.inputs or ends.outputs)
        starts, stops, notes = ({}, {}, ()) if named else _signature_ends(signatures, path, ends.signature)
        outputs = list(stops.values()) or list(ends.outputs)
        graph_def = session.graph.as_graph_def()
        known = {node.name for node in graph_def.node}
        nodes = [name.split(":")[0] for name in outputs]
        if nodes and set(nodes) <= known:
            graph_def = v1.graph_util.convert_variables_to_constants(session, graph_def, nodes)
    model = graph.open_graph(
        graph_def,
        path,
        shapes,
        Ends(inputs=tuple(starts.values()) or ends.inputs, outputs=tuple(outputs)),
        list(starts),
    )
    model.notes = (*notes, *model.notes)
    return _renamed(model, starts, stops)


def _renamed(model: TensorflowModel, starts: dict[str, str], stops: dict[str, str]) -> TensorflowModel:
    """The model with the signature's names for its tensors, if there is a signature."""
    import msgspec

    if starts:
        names = unique(list(starts))
        model.inputs = tuple(
            msgspec.structs.replace(spec, name=name) for spec, name in zip(model.inputs, names, strict=True)
        )
        model.output_names = tuple(unique(list(stops)))
    return model


def _signature_ends(
    signatures: Any, path: Path, wanted: str
) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """(inputs, outputs, notes): the signature's names -> names of tensors, sorted by the former."""
    names = [name for name in sorted(signatures) if not name.startswith("__")]
    if not names:
        raise ModelError(
            f"SavedModel has no signature: {path.name}",
            hint="name its ends: --inputs A,B --outputs C; or export it with model.export(folder)",
            code=Code.NO_SIGNATURE,
        )
    known = [
        Signature(name, sorted(signatures[name].inputs), sorted(signatures[name].outputs)) for name in names
    ]
    chosen, notes = choose(path, known, wanted)
    signature = signatures[chosen.name]
    _refuse_composite(path, signature)
    return (
        {key: signature.inputs[key].name for key in chosen.inputs},
        {key: signature.outputs[key].name for key in chosen.outputs},
        notes,
    )


def _refuse_composite(path: Path, signature: Any) -> None:
    """Raises ModelError for a composite input or output (several tensors), which TensorFlow 2 would return one by one."""
    for role, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for key in tensors:
            if tensors[key].WhichOneof("encoding") != "name":
                kind = end_types.SPARSE if tensors[key].HasField("coo_sparse") else end_types.RAGGED
                raise end_types.no_tensor(role, key, path, kind)


def _graphs(path: Path) -> list[Any]:
    from tensorflow.python.saved_model import loader_impl

    return list(loader_impl.parse_saved_model(str(path)).meta_graphs)


def _tags(path: Path) -> list[str]:
    """The tags of the serving graph, or else of the first graph."""
    graphs = [list(item.meta_info_def.tags) for item in _graphs(path)]
    return next(
        (tags for tags in graphs if tags == ["serve"]), next((t for t in graphs if "serve" in t), graphs[0])
    )
