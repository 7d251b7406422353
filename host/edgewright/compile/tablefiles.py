"""Whether the tables of a SavedModel are filled from its own assets: their paths are followed to where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgewright.compile.graph_operators import TABLES
from edgewright.compile.graphdef import Graph, Node
from edgewright.compile.graphflow import origin, plain_call

_PATH = 1  # the input of an operator that fills a table: the table, the path
_MAIN = None

Place = tuple[str | None, str]  # a function, or the graph itself; a node or an argument in it


def are_assets(
    graph: Graph,
    functions: Mapping[str, Graph],
    assets: frozenset[str],
    objects: Mapping[str, tuple[bool, ...]],
) -> bool:
    """Whether each path leads to an asset, through arguments and operators that pass a value on, and nothing else.

    Args:
        assets: nodes of the graph that are given paths of assets.
        objects: functions that objects run, and whether the values bound to their last arguments are assets.
    """
    graphs: dict[str | None, Graph] = {_MAIN: graph}
    graphs.update(functions)
    waiting: list[Place | None] = [
        _input(where, node, _PATH) if node.op in TABLES else None
        for where, one in graphs.items()
        for node in one.nodes
        if node.calls & TABLES
    ]
    seen: set[Place] = set()
    while waiting:
        place = waiting.pop()
        if place is None:
            return False
        if place in seen:
            continue
        seen.add(place)
        where, name = place
        end = origin(graphs[where], name)
        if where is _MAIN:
            if end not in assets:
                return False
            continue
        arguments = graphs[where].arguments
        if arguments.count(end) != 1:
            return False
        index = arguments.index(end)
        if where in objects and not _bound(objects[where], index - len(arguments)):
            return False
        waiting += _given(where, index, graphs)
    return True


def _bound(assets: tuple[bool, ...], at: int) -> bool:
    """Whether an argument, counted from the last one, is bound to an asset."""
    return -at <= len(assets) and assets[at]


def _given(function: str, index: int, graphs: Mapping[str | None, Graph]) -> Iterator[Place | None]:
    """What each call of a function gives for an argument; None where that cannot be followed."""
    for where, graph in graphs.items():
        for node in graph.nodes:
            if function in node.calls:
                yield _input(where, node, index) if plain_call(node, function) else None


def _input(where: str | None, node: Node, index: int) -> Place | None:
    return (where, node.inputs[index]) if index < len(node.inputs) else None
