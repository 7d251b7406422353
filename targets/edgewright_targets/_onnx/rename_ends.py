"""Renames a graph's inputs and outputs. Host side."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def rename(model: ModelProto, inputs: list[str], outputs: list[str]) -> None:
    """Gives the graph's inputs and outputs the source's names, in place.

    Inner tensors with such a name are renamed. An output that is also an input keeps the input's name.
    """
    graph = model.graph
    weights = {item.name for item in graph.initializer}
    starts = [item.name for item in graph.input if item.name not in weights]
    names = dict(zip(starts, inputs, strict=True))
    given = distinct(inputs, outputs)
    taken = {*inputs, *given}
    for item, new in zip(graph.output, given, strict=True):
        names.setdefault(item.name, new)
    inside = {name for node in nodes(graph) for name in (*node.input, *node.output)}
    names.update(
        {
            name: _free(name, taken | inside)
            for name in sorted((inside | weights) & taken)
            if name not in names
        }
    )
    _rename_all(graph, names)


def distinct(inputs: list[str], outputs: list[str]) -> list[str]:
    """The outputs' names, made distinct from each other and from the inputs' names, for a file that requires that."""
    found: list[str] = []
    for name in outputs:
        others = {*inputs, *found, *(one for one in outputs if one != name)}
        found.append(name if name not in inputs else _free("out_" + name, others))
    return found


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or the first free variant of it."""
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}__{number}"
    return found


def _rename_all(graph: GraphProto, names: dict[str, str]) -> None:
    """Renames in inner graphs too: a loop's body reads the outer graph's tensors by name."""
    for item in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        item.name = names.get(item.name, item.name)
    for item in graph.sparse_initializer:
        item.values.name = names.get(item.values.name, item.values.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in _inner(node):
            _rename_all(inner, names)


def nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """All nodes, including those of inner graphs."""
    for node in graph.node:
        yield node
        for inner in _inner(node):
            yield from nodes(inner)


def _inner(node: NodeProto) -> list[Any]:
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]
