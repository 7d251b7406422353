"""Follows values in a TensorFlow graph: their origin, and the functions that lead to an operator."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from edgewright.compile.inspection.graph_def import CALLS, PASSES_ON, Graph
from edgewright.compile.inspection.graph_node import Node


def upstream(
    inputs: Mapping[str, Iterable[str]], names: Iterable[str], stop: Collection[str] = ()
) -> set[str]:
    """Names of the nodes that `names` depend on, including `names`; the walk ends at nodes in `stop`."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in inputs:
            continue
        seen.add(name)
        if name not in stop:
            waiting += inputs[name]
    return seen


def upstream_nodes(graph: Graph, names: Iterable[str]) -> tuple[Node, ...]:
    found = upstream({node.name: node.inputs for node in graph.nodes}, names)
    return tuple(node for node in graph.nodes if node.name in found)


def leading_to(operators: frozenset[str], functions: Mapping[str, Graph]) -> set[str]:
    """The operators, and the functions that contain or call one of them, at any depth."""
    found = set(operators)
    while True:
        more = {
            name for name, function in functions.items() if any(node.calls & found for node in function.nodes)
        } - found
        if not more:
            return found
        found |= more


def origin(graph: Graph, name: str, stop: Collection[str] = ()) -> str:
    """The node or argument that `name` gets its value from: walks through operators that pass a value on, but not through `stop`."""
    nodes = {node.name: node for node in graph.nodes}
    for _ in range(len(nodes)):
        if name in stop or name in graph.arguments or name not in nodes or nodes[name].op not in PASSES_ON:
            break
        name = next(iter(nodes[name].inputs), "")
    return name


def plain_call(node: Node, function: str) -> bool:
    """Whether a node passes its inputs to a function unchanged; loops and branches do not."""
    return node.op == function or node.op in CALLS


def run_by(graph: Graph, functions: Mapping[str, Graph]) -> tuple[Node, ...]:
    """The nodes of a graph, of the functions that it calls, and of functions that may stand in for others."""
    waiting, left = list(graph.nodes), dict(functions)
    waiting += [node for name, one in functions.items() if one.stands_in for node in left.pop(name).nodes]
    found = list(waiting)
    while waiting:
        for name in waiting.pop().calls & left.keys():
            more = left.pop(name).nodes
            found += more
            waiting += more
    return tuple(found)
