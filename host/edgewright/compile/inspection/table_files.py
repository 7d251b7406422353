"""Checks that the tables of a SavedModel are filled only from its own assets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgewright.compile.inspection.graph_def import Graph
from edgewright.compile.inspection.graph_flow import origin, plain_call
from edgewright.compile.inspection.graph_node import Node
from edgewright.compile.inspection.unsafe_operators import TABLES

_PATH = 1  # index of the path among the inputs of an operator that fills a table (the table is input 0)
_MAIN = None
_READS = frozenset(("ReadVariableOp", "VarIsInitializedOp"))
_HANDLES = frozenset(("VarHandleOp", "_VarHandlesOp"))

Place = tuple[str | None, str]  # (function, or None for the main graph; node or argument in it)


def are_assets(
    graph: Graph,
    functions: Mapping[str, Graph],
    assets: frozenset[str],
    objects: Mapping[str, tuple[bool, ...]],
) -> bool:
    """Whether every path comes from an asset, through nothing but arguments and operators that pass a value on.

    Args:
        assets: nodes of the graph that are fed paths of assets.
        objects: functions that objects run, and for each of their last arguments whether the value bound to it is an asset.
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
        if where is _MAIN:
            if not _from_asset(graphs, name, assets):
                return False
            continue
        end = origin(graphs[where], name)
        arguments = graphs[where].arguments
        if arguments.count(end) != 1:
            return False
        index = arguments.index(end)
        if where in objects and not _bound(objects[where], index - len(arguments)):
            return False
        waiting += _passed_values(where, index, graphs)
    return True


def _from_asset(graphs: Mapping[str | None, Graph], name: str, assets: frozenset[str]) -> bool:
    """Whether a value of the main graph is an asset's path, or read from a variable that is only ever assigned one."""
    main = graphs[_MAIN]
    nodes = {node.name: node for node in main.nodes}
    end = origin(main, name, stop=assets)
    if end in assets:
        return True
    read = nodes.get(end)
    if (
        read is None
        or read.op != "ReadVariableOp"
        or not read.inputs
        or not _is_only_handle(graphs, read.inputs[0])
    ):
        return False
    used = [node for node in main.nodes if read.inputs[0] in node.inputs]
    given = [origin(main, node.inputs[1], stop=assets) for node in used if _assigns(node)]
    # no placeholders: they fail if no asset is fed; no constants: they would be another path
    return all(node.op in _READS or _assigns(node) for node in used) and all(
        one in assets and nodes[one].op == "Placeholder" for one in given
    )


def _assigns(node: Node) -> bool:
    return node.op == "AssignVariableOp" and len(node.inputs) > 1


def _is_only_handle(graphs: Mapping[str | None, Graph], handle: str) -> bool:
    """Whether only this node makes its variable's handle: handles with the same name share a value."""
    made = [node for graph in graphs.values() for node in graph.nodes if node.op in _HANDLES]
    names = [node.strings.get("shared_name", b"") or node.name.encode() for node in made]
    mine = [name for node, name in zip(made, names, strict=True) if node.name == handle]
    return len(mine) == 1 and names.count(mine[0]) == 1 and all(node.op == "VarHandleOp" for node in made)


def _bound(assets: tuple[bool, ...], at: int) -> bool:
    """Whether an argument, indexed from the end, is bound to an asset."""
    return -at <= len(assets) and assets[at]


def _passed_values(function: str, index: int, graphs: Mapping[str | None, Graph]) -> Iterator[Place | None]:
    """The values that calls of a function pass for an argument; None for a call that cannot be followed."""
    for where, graph in graphs.items():
        for node in graph.nodes:
            if function in node.calls:
                yield _input(where, node, index) if plain_call(node, function) else None


def _input(where: str | None, node: Node, index: int) -> Place | None:
    return (where, node.inputs[index]) if index < len(node.inputs) else None
