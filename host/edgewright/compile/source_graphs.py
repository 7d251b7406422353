"""Operations of TensorFlow and PyTorch sources. Runs in their workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_NO_OPERATIONS = {"Const", "Placeholder", "NoOp", "ReadVariableOp", "VarHandleOp"}


def of_source(model: Any, path: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature for all readers
    """Rows for `operations.Operation` of an opened TensorFlow or PyTorch source."""
    return _of_tensorflow(model.concrete) if hasattr(model, "concrete") else _of_torch(model.program)


def _of_tensorflow(concrete: Any) -> list[dict[str, Any]]:
    """Operations of a ConcreteFunction, its functions inlined; identities are left out."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    nodes = list(convert_variables_to_constants_v2(concrete).graph.as_graph_def().node)
    behind: dict[str, str] = {}  # an identity's name -> what it passes on
    for node in nodes:
        if node.op == "Identity" and node.input:
            behind[node.name] = _plain(node.input[0])

    def producer(name: str) -> str:
        while name in behind:
            name = behind[name]
        return name

    kept = [node for node in nodes if node.op not in _NO_OPERATIONS and node.op != "Identity"]
    names = {node.name for node in kept}
    return [
        {
            "name": node.name,
            "operator": node.op,
            "takes": [
                made for made in (producer(_plain(name)) for name in node.input if name[:1] != "^") if made in names
            ],
        }
        for node in kept
    ]  # fmt: skip


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
