"""Makes the ONNX files of tf2onnx reproducible: it numbers and orders nodes differently each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


_NUMBERED = re.compile(r"(.*?)__\d+(?=$|[:/_])")


def tidy(model: ModelProto) -> None:
    """Orders nodes by a walk from the outputs, numbers names in that order, sorts weights; in place."""
    _order(model.graph)
    names = {}
    taken: set[str] = set()
    for name in _mentioned(model.graph):
        if name and name not in names:
            names[name] = _unique_name(name, taken)
            taken.add(names[name])
    _rename(model.graph, names)


def _order(graph: GraphProto) -> None:
    """The nodes depth first from the outputs, inputs before their readers."""
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    done, order = set(), []
    pending = [(producers[item.name], False) for item in reversed(graph.output) if item.name in producers]
    while pending:
        index, ready = pending.pop()
        if index in done:
            continue
        if ready:
            done.add(index)
            order.append(index)
            continue
        pending.append((index, True))
        for name in reversed(_reads(graph.node[index])):
            if name in producers and producers[name] not in done:
                pending.append((producers[name], False))
    nodes = [graph.node[index] for index in order]
    for node in nodes:
        for inner in _graphs(node):
            _order(inner)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _reads(node: NodeProto) -> list[str]:
    """Names that a node reads, including those that its inner graphs capture."""
    found = list(node.input)
    for inner in _graphs(node):
        for child in inner.node:
            found.extend(_reads(child))
        found.extend(item.name for item in inner.output)
    return found


def _graphs(node: NodeProto) -> list[Any]:
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else list(attribute.graphs))
    ]


def _mentioned(graph: GraphProto) -> Iterator[str]:
    """Every name of values and nodes, in the order of the nodes."""
    for item in [*graph.input, *graph.output]:
        yield item.name
    for node in graph.node:
        yield from node.input
        for inner in _graphs(node):
            yield from _mentioned(inner)
        yield from node.output
        yield "node:" + node.name
    for item in graph.initializer:
        yield item.name


def _unique_name(name: str, taken: set[str]) -> str:
    """The name without tf2onnx's running numbers, made unique."""
    plain = _NUMBERED.sub(r"\1", name)
    fresh, number = plain, 0
    while fresh in taken:
        number += 1
        fresh = f"{plain}__{number}"
    return fresh


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    for item in [*graph.input, *graph.output, *graph.initializer]:
        item.name = names[item.name]
    del graph.value_info[:]
    for node in graph.node:
        node.input[:] = [names[name] if name else "" for name in node.input]
        node.output[:] = [names[name] if name else "" for name in node.output]
        node.name = names["node:" + node.name][len("node:") :]
        for inner in _graphs(node):
            _rename(inner, names)
    used = sorted(graph.initializer, key=lambda item: item.name)
    copies = [type(item).FromString(item.SerializeToString()) for item in used]
    del graph.initializer[:]
    graph.initializer.extend(copies)
