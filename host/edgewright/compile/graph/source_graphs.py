"""Operations of TensorFlow and PyTorch sources. Runs in their workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compile.graph.float_groups import MASKING
from edgewright.compile.inspection.graph_flow import upstream

_NO_OPERATIONS = {"Const", "Placeholder", "NoOp", "ReadVariableOp", "VarHandleOp"}


def of_source(model: Any, path: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature for all readers
    """Rows for `operations.Operation` of an opened TensorFlow or PyTorch source."""
    return _of_tensorflow(model.concrete) if hasattr(model, "concrete") else _of_torch(model.program)


def layers_of(model: Any) -> list[str]:
    """Names of the convolutions and dense layers of a Keras model."""
    layers = getattr(model.module.kept, "layers", [])
    return [layer.name for layer in layers if getattr(layer, "kernel", None) is not None or hasattr(layer, "depthwise_kernel")]  # fmt: skip


def graph_of(model: Any) -> list[dict[str, Any]]:
    """Rows of the layers of a Keras model, inputs first; none for a model that is not built from layers and tensors."""
    kept = model.module.kept
    layers = getattr(kept, "operations", None) or getattr(kept, "layers", [])
    names = {layer.name for layer in layers}
    ends: dict[str, list[str]] = {}
    for tensor, name in zip(getattr(kept, "outputs", None) or (), model.output_names, strict=False):
        ends.setdefault(_maker(tensor), []).append(name)
    takes = {
        layer.name: [_maker(tensor) for node in layer._inbound_nodes for tensor in _read(node)]
        for layer in layers
    }
    order = _inputs_first({name: [one for one in given if one in names] for name, given in takes.items()})
    kinds = {layer.name: type(layer).__name__ for layer in layers}
    return [
        {"name": name, "operator": kinds[name], "takes": takes[name], "ends": ends.get(name, [])}
        for name in order
    ]


def _maker(tensor: Any) -> str:
    """The name of the layer that produces a Keras tensor; empty if unknown."""
    history = getattr(tensor, "_keras_history", None)
    return str(history[0].name) if history else ""


def _read(node: Any) -> list[Any]:
    given = getattr(node, "keras_inputs", None) or getattr(node, "input_tensors", None) or []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _of_tensorflow(concrete: Any) -> list[dict[str, Any]]:
    """Operations of a ConcreteFunction with its functions inlined; without identities and nodes that only depend on constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    nodes = {
        node.name: node for node in convert_variables_to_constants_v2(concrete).graph.as_graph_def().node
    }
    reads = {name: [_plain(text) for text in node.input if text[:1] != "^"] for name, node in nodes.items()}

    def producer(name: str) -> str:
        while nodes[name].op == "Identity":
            name = reads[name][0]
        return name

    constant: dict[str, bool] = {}
    for name in _inputs_first(reads):
        known = [constant[item] for item in reads[name]]
        constant[name] = nodes[name].op == "Const" or (bool(known) and all(known))
    kept = [
        name for name, node in nodes.items()
        if node.op not in _NO_OPERATIONS and node.op != "Identity" and not constant[name]
    ]  # fmt: skip
    names = set(kept)

    def largest(name: str) -> float:
        if nodes[name].op.lower() not in MASKING:
            return 0.0
        given = upstream(reads, [one for one in reads[name] if constant[one]])
        return max((magnitude(nodes[one]) for one in given), default=0.0)

    return [
        {
            "name": name,
            "operator": nodes[name].op,
            "takes": [made for made in map(producer, reads[name]) if made in names],
            "largest": largest(name),
        }
        for name in kept
    ]


def magnitude(node: Any) -> float:
    """The greatest magnitude in a float constant of a GraphDef, including infinity; 0 for all other nodes."""
    import numpy as np
    from tensorflow import make_ndarray

    if node.op != "Const":
        return 0.0
    values = make_ndarray(node.attr["value"].tensor)
    floats = values.dtype.kind == "f" and values.size
    return float(np.nanmax(np.abs(values.astype(np.float64)))) if floats else 0.0


def _inputs_first(reads: dict[str, list[str]]) -> list[str]:
    """The names in topological order."""
    done: dict[str, None] = {}
    pending = [(name, False) for name in reversed(reads)]
    while pending:
        name, ready = pending.pop()
        if name in done:
            continue
        if ready:
            done[name] = None
            continue
        pending.append((name, True))
        pending += [(item, False) for item in reads[name] if item not in done]
    return list(done)


def _plain(name: str) -> str:
    return name.lstrip("^").split(":")[0]


def _of_torch(program: Any) -> list[dict[str, Any]]:
    """Operations of an ExportedProgram."""
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    names = {node.name for node in calls}
    return [
        {
            "name": node.name,
            "operator": _operator(node.target),
            "takes": [item.name for item in node.all_input_nodes if item.name in names],
        }
        for node in calls
    ]


def _operator(target: Any) -> str:
    """`aten.conv2d.default` -> `conv2d`."""
    parts = str(getattr(target, "name", getattr(target, "__name__", target)))
    if callable(getattr(target, "name", None)):
        parts = str(target.name())
    return parts.split("::")[-1].split(".")[0]
