"""Looks into a SavedModel's `saved_model.pb` without TensorFlow: which of its operators reach beyond the model.

Each ordinary SavedModel saves and restores its variables by operators of the same graph. Those may stay where only the
saver leads to them: restoring from the model's own files, saving not at all while it is loaded, served or initialised.
A table may be filled from the model's own assets.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from edgewright.compile import graph_operators, graphdef, protobuf
from edgewright.compile.graph_operators import RESTORING, SAVING, TABLES
from edgewright.compile.graphdef import Graph, Node, source
from edgewright.nouns.base import Noun

# numbers of the fields of saved_model.proto, meta_graph.proto, saver.proto and saved_object_graph.proto
_META_GRAPH = 2
_GRAPH, _SAVER, _COLLECTION, _SIGNATURE, _ASSET, _OBJECTS = 2, 3, 4, 5, 6, 7
_SAVER_FILE, _SAVER_RESTORE = 1, 3
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_COLLECTION_NODES, _COLLECTION_ANY, _NODES_NAME, _ANY_MESSAGE, _ANY_BYTES = 1, 5, 1, 1, 2
_SIGNATURE_OUTPUTS, _TENSOR_NAME, _TENSOR_SPARSE, _ASSET_TENSOR, _ASSET_FILE = 2, 1, (4, 5), 1, 2
_OBJECT, _CONCRETE_FUNCTION = 1, 2
_OBJECT_VARIABLE, _OBJECT_CONSTANT, _VARIABLE_TYPE, _CONSTANT_NODE = 7, 9, 1, 1
_SAVED_ASSETS = "saved_model_assets"
_PASSES_ON = frozenset(("Identity", "PlaceholderWithDefault"))


class MetaGraph(Noun, frozen=True, kw_only=True):
    """A graph of a SavedModel, with what leads into it.

    Attributes:
        runs: nodes that loading, serving or initialising runs, but the restoring one.
        file, restores: nodes of the saver: the name of the checkpoint, and what restores it.
        assets: nodes that are given paths of the model's own files. own_assets: those files lie in its folder.
        objects: functions that Python objects of the loaded model run. text: such an object, but an asset, is text.
    """

    graph: Graph
    functions: dict[str, Graph]
    runs: frozenset[str]
    file: str
    restores: str
    assets: frozenset[str]
    own_assets: bool
    objects: frozenset[str]
    text: bool


def unsafe(path: Path) -> tuple[str, ...]:
    """The operators in any of its graphs and functions that reach beyond the model, sorted.

    Raises:
        ValueError: it is cut short or damaged.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise ValueError("empty")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    found: set[str] = set()
    for data in protobuf.children(memoryview(mapped), _META_GRAPH):
        found.update(_unsafe(_meta_graph(data)))
    return tuple(sorted(found))


def _meta_graph(data: memoryview) -> MetaGraph:
    graphs = [graphdef.graph(one) for one in protobuf.children(data, _GRAPH)]
    savers = list(protobuf.children(data, _SAVER))
    if len(graphs) != 1 or len(savers) > 1:  # other readers merge what is there several times
        raise ValueError(f"{len(graphs)} graphs and {len(savers)} savers in one")
    graph, functions = graphs[0]
    saver = savers[0] if savers else memoryview(b"")
    collections = list(_entries(data, _COLLECTION))
    runs = {source(one) for _, collection in collections for one in _node_list(collection)}
    for _, signature in _entries(data, _SIGNATURE):
        runs.update(_signature_outputs(signature))
    assets = [*protobuf.children(data, _ASSET), *_assets_of_tensorflow_1(collections)]
    files = [protobuf.text(one, _ASSET_FILE) for one in assets]
    tensors = [
        protobuf.text(one, _TENSOR_NAME)
        for asset in assets
        for one in protobuf.children(asset, _ASSET_TENSOR)
    ]
    own = frozenset(map(source, tensors))
    objects = list(protobuf.children(data, _OBJECTS))
    return MetaGraph(
        graph=graph, functions=functions, runs=frozenset(runs), file=source(protobuf.text(saver, _SAVER_FILE)),
        restores=source(protobuf.text(saver, _SAVER_RESTORE)), assets=own, own_assets=all(map(_inside, files)),
        objects=frozenset(key for one in objects for key, _ in _entries(one, _CONCRETE_FUNCTION)),
        text=any(_holds_text(one, graph, own) for one in objects),
    )  # fmt: skip


def _entries(data: memoryview, number: int) -> Iterator[tuple[str, memoryview]]:
    """The (key, value) pairs of a map."""
    for entry in protobuf.children(data, number):
        for value in protobuf.children(entry, _ENTRY_VALUE):
            yield protobuf.text(entry, _ENTRY_KEY), value


def _node_list(collection: memoryview) -> Iterator[str]:
    for nodes in protobuf.children(collection, _COLLECTION_NODES):
        yield from (bytes(one).decode() for one in protobuf.children(nodes, _NODES_NAME))


def _signature_outputs(signature: memoryview) -> Iterator[str]:
    """The nodes that a signature's outputs come from, of sparse and composite tensors too."""
    for _, tensor in _entries(signature, _SIGNATURE_OUTPUTS):
        for number, value in protobuf.fields(tensor):
            if number == _TENSOR_NAME and isinstance(value, memoryview):
                yield source(bytes(value).decode())
            elif number in _TENSOR_SPARSE:
                raise ValueError("a signature with sparse outputs")


def _assets_of_tensorflow_1(collections: Iterable[tuple[str, memoryview]]) -> Iterator[memoryview]:
    for key, collection in collections:
        if key == _SAVED_ASSETS:
            for listed in protobuf.children(collection, _COLLECTION_ANY):
                for one in protobuf.children(listed, _ANY_MESSAGE):
                    yield from protobuf.children(one, _ANY_BYTES)


def _inside(file: str) -> bool:
    """Whether an asset's path stays in its folder."""
    path = PurePosixPath(file)
    return bool(file) and not path.is_absolute() and ".." not in path.parts


def _holds_text(objects: memoryview, graph: Graph, assets: frozenset[str]) -> bool:
    """Whether an object is a variable or a constant of text: it might be a path, which no reader of a graph can tell."""
    texts = {node.name for node in graph.nodes if node.text_type} - assets
    for one in protobuf.children(objects, _OBJECT):
        for variable in protobuf.children(one, _OBJECT_VARIABLE):
            if (_VARIABLE_TYPE, graph_operators.DT_STRING) in list(_numbers(variable)):
                return True
        for constant in protobuf.children(one, _OBJECT_CONSTANT):
            if source(protobuf.text(constant, _CONSTANT_NODE)) in texts:
                return True
    return False


def _numbers(data: memoryview) -> Iterator[tuple[int, int]]:
    return ((number, value) for number, value in protobuf.fields(data) if isinstance(value, int))


def _unsafe(meta: MetaGraph) -> Iterator[str]:
    for graph in (meta.graph, *meta.functions.values()):
        yield from graph_operators.unsafe(graph.nodes)
    yield from _saving_or_restoring(meta)
    if not _tables_of_assets(meta):
        yield from _among(TABLES, meta)


def _among(operators: frozenset[str], meta: MetaGraph) -> set[str]:
    graphs = (meta.graph, *meta.functions.values())
    return {node.op for graph in graphs for node in graph.nodes} & operators


def _leading_to(operators: frozenset[str], functions: Mapping[str, Graph]) -> set[str]:
    """The operators, and the functions that hold or call one of them, at any depth."""
    found = set(operators)
    while True:
        more = {
            name for name, function in functions.items() if any(node.calls & found for node in function.nodes)
        } - found
        if not more:
            return found
        found |= more


def _upstream(graph: Graph, names: Iterable[str]) -> dict[str, Node]:
    """The nodes that some depend on, themselves too."""
    nodes = {node.name: node for node in graph.nodes}
    found: dict[str, Node] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name in nodes:
            found[name] = nodes[name]
            waiting += nodes[name].inputs
    return found


def _saving_or_restoring(meta: MetaGraph) -> Iterator[str]:
    saving, restoring = (_leading_to(operators, meta.functions) for operators in (SAVING, RESTORING))
    runs = _upstream(meta.graph, meta.runs)
    restores = _upstream(meta.graph, [meta.restores])
    swapped = any(meta.functions[name].stands_in for name in saving & meta.functions.keys())
    if (
        swapped
        or meta.objects & saving
        or any(node.calls & saving for node in (*runs.values(), *restores.values()))
    ):
        yield from _among(SAVING, meta)
    its_own = _restores_from(meta.file, Graph(nodes=tuple(restores.values())), restoring, meta.functions)
    if meta.objects & restoring or any(node.calls & restoring for node in runs.values()) or not its_own:
        yield from _among(RESTORING, meta)


def _restores_from(
    file: str, graph: Graph, restoring: set[str], functions: Mapping[str, Graph], depth: int = 3
) -> bool:
    """Whether all that restores in a graph, and in the functions that it calls, reads the checkpoint of this name."""
    nodes = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if not node.calls & restoring:
            continue
        origin, seen = next(iter(node.inputs), ""), 0
        while origin != file and origin in nodes and nodes[origin].op in _PASSES_ON and seen < len(nodes):
            origin, seen = next(iter(nodes[origin].inputs), ""), seen + 1
        if not file or origin != file:
            return False
        for name in node.calls & restoring & functions.keys():
            called = functions[name]
            deeper = bool(depth and called.arguments)
            if not deeper or not _restores_from(called.arguments[0], called, restoring, functions, depth - 1):
                return False
    return True


def _tables_of_assets(meta: MetaGraph) -> bool:
    """Whether tables are filled from the model's own assets only."""
    if not _among(TABLES, meta):
        return True
    if not meta.own_assets or meta.text:
        return False
    holding = {
        name for name, function in meta.functions.items() if any(node.op in TABLES for node in function.nodes)
    }
    if any(node.calls & holding for function in meta.functions.values() for node in function.nodes):
        return False
    for name in holding:
        function = meta.functions[name]
        if any(node.text_type and node.op == "Const" for node in function.nodes):
            return False
    filled = [node for node in meta.graph.nodes if node.calls & (holding | TABLES)]
    given = _upstream(meta.graph, [name for node in filled for name in node.inputs])
    return not any(
        node.op == "Const" and node.text_type and node.name not in meta.assets for node in given.values()
    )
