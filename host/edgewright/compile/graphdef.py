"""Looks into TensorFlow's `.pb` files without TensorFlow: a frozen graph, or something else by the same suffix."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgewright.compile import protobuf
from edgewright.nouns.base import Noun

_GRAPH_NODE = 1
_NODE_NAME, _NODE_OP = 1, 2
_VARIABLES = ("Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable")


class GraphFile(Noun, frozen=True, kw_only=True):
    """What the file holds.

    Attributes:
        nodes: how many there are.
        variables: names of nodes that keep their value outside of the graph: it is not frozen.
        quantised: it has integer arithmetic.
    """

    nodes: int
    variables: tuple[str, ...]
    quantised: bool


def look(path: Path) -> GraphFile | None:
    """Reads the structure; None for another kind of file, such as a SavedModel's own `.pb`.

    Raises:
        ValueError: it is cut short.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _graph(memoryview(mapped))


def _graph(data: memoryview) -> GraphFile | None:
    nodes, quantised = 0, False
    variables: list[str] = []
    for number, value in protobuf.fields(data):
        if number != _GRAPH_NODE:
            continue
        if not isinstance(value, memoryview):
            return None  # field 1 of an ONNX or SavedModel file is a version
        operator = protobuf.text(value, _NODE_OP)
        if not operator.isidentifier():
            return None
        nodes += 1
        quantised |= operator.startswith("Quantized")
        if operator in _VARIABLES:
            variables.append(protobuf.text(value, _NODE_NAME))
    return GraphFile(nodes=nodes, variables=tuple(variables), quantised=quantised) if nodes else None


def is_saved_model(path: Path) -> bool:
    """Whether a file is what a SavedModel folder has as `saved_model.pb`."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        found = dict(protobuf.fields(memoryview(mapped)))
    except ValueError:
        return False
    return isinstance(found.get(1), int) and isinstance(found.get(2), memoryview) and set(found) <= {1, 2}
