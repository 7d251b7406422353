"""Reads how finely the outputs of an IR are quantised. Host side, in the `openvino` worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from openvino import Model, Node, Output

    from edgewright.sdk.graphs import Graph, Move, Tail

    Array = np.ndarray[Any, Any]


_SAME = (
    "FakeQuantize",
    "Convert",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Result",
)  # operators that keep values, apart from their shape


def tails(path: Path, outputs: list[str]) -> list[Tail | None]:
    """A `compile.graph.output_tails.Tail`, or None, for each named output."""
    import openvino as ov

    from edgewright.sdk.graphs import tail

    model = ov.Core().read_model(str(path))
    graph = read(model)
    ends = {name: _name(port) for port in model.outputs for name in port.get_names()}
    return [tail(graph, ends.get(name, "")) for name in outputs]


def read(model: Model) -> Graph:
    """A `compile.graph.output_tails.Graph` of an `openvino.Model`."""
    from edgewright.sdk.graphs import Graph

    moves, steps, shapes, kinds, fixed = [], {}, {}, {}, set()
    for one in model.get_ordered_ops():
        kind = one.get_type_name()
        for port in one.outputs():
            kinds[_name(port)] = kind.lower()
            if port.get_partial_shape().is_static:
                shapes[_name(port)] = list(port.get_shape())
        if kind == "Constant":
            fixed.add(_name(one.output(0)))
        if kind == "FakeQuantize" and _step(one):
            steps[_name(one.output(0))] = _step(one)
        move = _move(one, kind)
        if move:
            moves.append(move)
    return Graph(moves, steps, shapes, kinds, fixed)


def _name(port: Output) -> str:
    return f"{port.get_node().get_friendly_name()}:{port.get_index()}"


def _given(one: Node, at: int) -> Output:
    return one.input(at).get_source_output()


def _values(one: Node, at: int) -> Array | None:
    """The constant that an operation reads; None if it is computed."""
    node = _given(one, at).get_node()
    return node.get_data() if node.get_type_name() == "Constant" else None


def _step(one: Node) -> float:
    """The distance of two neighbouring values of a FakeQuantize; zero if it has a range per channel."""
    low, high = _values(one, 3), _values(one, 4)
    if low is None or high is None or low.size != 1 or high.size != 1:
        return 0.0
    return float(high.item() - low.item()) / int(one.get_attributes()["levels"] - 1)


def _move(one: Node, kind: str) -> Move | None:
    """The operation as a `compile.graph.output_tails.Move`; None if it computes something, or if it moves by a computed amount."""
    import numpy

    from edgewright.sdk.graphs import Move

    def moving(apply: Callable[..., Any], count: int = 1) -> Move:
        inputs = tuple(_name(_given(one, at)) for at in range(count))
        return Move(inputs, (_name(one.output(0)),), apply)

    if kind in _SAME and one.get_output_partial_shape(0).is_static:
        out = list(one.get_output_shape(0))
        return moving(lambda given: [given[0].reshape(out)])
    if kind == "Concat":
        axis = one.get_attributes()["axis"]
        return moving(lambda given: [numpy.concatenate(given, axis)], len(one.inputs()))
    if kind == "Transpose" and _values(one, 1) is not None:
        order = _values(one, 1)
        return moving(lambda given: [given[0].transpose(order)])
    return None
