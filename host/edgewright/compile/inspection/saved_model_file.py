"""Checks `saved_model.pb`, without TensorFlow, for operators that reach beyond the model.

Every ordinary SavedModel saves and restores its variables by operators in the same graph. These are allowed if only the
saver leads to them: restoring must read the model's own files, and nothing may be saved during loading, serving or
initialisation. Tables may be filled from the model's own assets.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from edgewright.compile.inspection import graph_def, protobuf, saved_objects, table_files, unsafe_operators
from edgewright.compile.inspection.graph_def import Graph, source
from edgewright.compile.inspection.graph_flow import leading_to, origin, plain_call, upstream_nodes
from edgewright.compile.inspection.unsafe_operators import RESTORING, SAVING, TABLES
from edgewright.nouns.base import Noun

# field numbers of saved_model.proto, meta_graph.proto, saver.proto and saved_object_graph.proto
_META_GRAPH = 2
_GRAPH, _SAVER, _COLLECTION, _SIGNATURE, _ASSET, _OBJECTS = 2, 3, 4, 5, 6, 7
_SAVER_FILE, _SAVER_RESTORE = 1, 3
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_COLLECTION_NODES, _COLLECTION_BYTES, _COLLECTION_ANY, _LISTED, _ANY_MESSAGE, _ANY_BYTES = 1, 2, 5, 1, 1, 2
_SIGNATURE_OUTPUTS, _TENSOR_NAME, _TENSOR_SPARSE, _TENSOR_COMPOSITE, _COMPONENT = 2, 1, 4, 5, 2
_SPARSE_NAMES = (1, 2, 3)
_ASSET_TENSOR, _ASSET_FILE = 1, 2
_SAVED_ASSETS, _SAVERS, _INITIALISES = "saved_model_assets", "savers", "__saved_model_init_op"


class MetaGraph(Noun, frozen=True, kw_only=True):
    """A graph of a SavedModel, and the nodes and functions that run it.

    Attributes:
        initialises: nodes that initialisation runs, with assets fed.
        runs: nodes that loading and serving run, apart from initialisation and the restoring node.
        file, restores: the saver's nodes for the checkpoint's name and for restoring it.
        assets: nodes that are fed paths of the model's own files.
        own_assets: whether those files lie in the model's folder.
        objects: functions that Python objects of the loaded model run, and for each which of its bound values are assets.
    """

    graph: Graph
    functions: dict[str, Graph]
    initialises: frozenset[str]
    runs: frozenset[str]
    file: str
    restores: str
    assets: frozenset[str]
    own_assets: bool
    objects: Mapping[str, tuple[bool, ...]]


def unsafe(path: Path) -> tuple[str, ...]:
    """The operators in any of its graphs and functions that reach beyond the model, sorted.

    Raises:
        ValueError: it is truncated or damaged.
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
    graphs = [graph_def.graph(one) for one in protobuf.children(data, _GRAPH)]
    savers = list(protobuf.children(data, _SAVER))
    if len(graphs) != 1 or len(savers) > 1:  # other readers merge repeated parts
        raise ValueError(f"{len(graphs)} graphs and {len(savers)} savers in one")
    graph, functions = graphs[0]
    saver = savers[0] if savers else memoryview(b"")
    collections = list(_entries(data, _COLLECTION))
    initialises: set[str] = set()
    runs: set[str] = set()
    for key, collection in collections:
        initialises.update(map(source, _node_list(collection)))
        if key != _SAVERS:  # a saver consists of node names only, and is checked separately
            runs.update(_named_in_bytes(collection))
    for key, signature in _entries(data, _SIGNATURE):
        (initialises if key == _INITIALISES else runs).update(_signature_outputs(signature))
    assets = list(protobuf.children(data, _ASSET))
    older = list(_assets_of_tensorflow_1(collections))
    objects = list(protobuf.children(data, _OBJECTS))
    if len(objects) > 1:
        raise ValueError("several graphs of objects")
    return MetaGraph(
        graph=graph, functions=functions, initialises=frozenset(initialises), runs=frozenset(runs),
        file=source(protobuf.text(saver, _SAVER_FILE)), restores=source(protobuf.text(saver, _SAVER_RESTORE)),
        assets=frozenset(_asset_nodes(assets or older)),  # TensorFlow feeds the older kind only if it is the only one
        own_assets=all(_inside(protobuf.text(one, _ASSET_FILE)) for one in (*assets, *older)),
        objects=saved_objects.functions(objects[0]) if objects else {},
    )  # fmt: skip


def _entries(data: memoryview, number: int) -> Iterator[tuple[str, memoryview]]:
    """The (key, value) pairs of a map."""
    for entry in protobuf.children(data, number):
        for value in protobuf.children(entry, _ENTRY_VALUE):
            yield protobuf.text(entry, _ENTRY_KEY), value


def _node_list(collection: memoryview) -> Iterator[str]:
    for nodes in protobuf.children(collection, _COLLECTION_NODES):
        yield from (bytes(one).decode() for one in protobuf.children(nodes, _LISTED))


def _named_in_bytes(collection: memoryview) -> Iterator[str]:
    """Possible node names in a collection's bytes: the bytes as a whole, and each string of a message such as VariableDef.

    Raises:
        ValueError: part of it is neither text nor a message.
    """
    for listed in protobuf.children(collection, _COLLECTION_BYTES):
        for one in protobuf.children(listed, _LISTED):
            whole = bytes(one).decode("utf-8", "replace")
            yield source(whole)
            try:
                texts = [value for _, value in protobuf.fields(one) if isinstance(value, memoryview)]
            except ValueError:
                if not whole.replace("\n", "").isprintable() or "\ufffd" in whole:
                    raise
                continue
            yield from (source(bytes(text).decode("utf-8", "replace")) for text in texts)


def _signature_outputs(signature: memoryview) -> Iterator[str]:
    """The nodes that produce a signature's outputs."""
    for _, tensor in _entries(signature, _SIGNATURE_OUTPUTS):
        yield from _tensor_nodes(tensor)


def _tensor_nodes(tensor: memoryview, depth: int = 8) -> Iterator[str]:
    """The nodes of a TensorInfo: one for a dense tensor, several for sparse and composite tensors."""
    if not depth:
        raise ValueError("composite tensors of composite tensors")
    for name in protobuf.children(tensor, _TENSOR_NAME):
        yield source(bytes(name).decode())
    for sparse in protobuf.children(tensor, _TENSOR_SPARSE):
        for number in _SPARSE_NAMES:
            yield from (source(bytes(name).decode()) for name in protobuf.children(sparse, number))
    for composite in protobuf.children(tensor, _TENSOR_COMPOSITE):
        for one in protobuf.children(composite, _COMPONENT):
            yield from _tensor_nodes(one, depth - 1)


def _asset_nodes(assets: Iterable[memoryview]) -> Iterator[str]:
    for asset in assets:
        for tensor in protobuf.children(asset, _ASSET_TENSOR):
            yield source(protobuf.text(tensor, _TENSOR_NAME))


def _assets_of_tensorflow_1(collections: Iterable[tuple[str, memoryview]]) -> Iterator[memoryview]:
    for key, collection in collections:
        if key == _SAVED_ASSETS:
            for listed in protobuf.children(collection, _COLLECTION_ANY):
                for one in protobuf.children(listed, _ANY_MESSAGE):
                    yield from protobuf.children(one, _ANY_BYTES)


def _inside(file: str) -> bool:
    """Whether an asset's path stays within its folder."""
    path = PurePosixPath(file)
    return bool(file) and not path.is_absolute() and ".." not in path.parts


def _unsafe(meta: MetaGraph) -> Iterator[str]:
    graphs = (meta.graph, *meta.functions.values())
    for graph in graphs:
        yield from unsafe_operators.unsafe(graph.nodes)
    held = {node.op for graph in graphs for node in graph.nodes}
    for operators, allowed in ((SAVING, _saves), (RESTORING, _restores), (TABLES, _fills)):
        leading = leading_to(operators, meta.functions)
        swapped = any(meta.functions[name].stands_in for name in leading & meta.functions.keys())
        if swapped or not allowed(meta, leading):
            yield from operators & held


def _runs(meta: MetaGraph, names: Iterable[str], leading: set[str]) -> bool:
    """Whether nodes with these names depend on one that leads to an operator."""
    return any(node.calls & leading for node in upstream_nodes(meta.graph, names))


def _saves(meta: MetaGraph, saving: set[str]) -> bool:
    """Whether only the saver leads to saving operators."""
    ran = (*meta.initialises, *meta.runs, meta.restores)
    return not (meta.objects.keys() & saving or _runs(meta, ran, saving))


def _restores(meta: MetaGraph, restoring: set[str]) -> bool:
    """Whether only the saver restores, and only from the model's own checkpoint."""
    if meta.objects.keys() & restoring or _runs(meta, (*meta.initialises, *meta.runs), restoring):
        return False
    restores = Graph(nodes=upstream_nodes(meta.graph, [meta.restores]))
    return _restores_from(meta.file, restores, restoring, meta.functions)


def _restores_from(
    file: str, graph: Graph, restoring: set[str], functions: Mapping[str, Graph], depth: int = 3
) -> bool:
    """Whether every restoring operator, in a graph and in the functions that it calls, reads the checkpoint of this name."""
    for node in graph.nodes:
        if not node.calls & restoring:
            continue
        if not file or origin(graph, next(iter(node.inputs), ""), stop=[file]) != file:
            return False
        for name in node.calls & restoring:
            called = functions.get(name)
            if called is None and name == node.op:
                continue
            if called is None or not plain_call(node, name) or not depth or not called.arguments:
                return False
            if not _restores_from(called.arguments[0], called, restoring, functions, depth - 1):
                return False
    return True


def _fills(meta: MetaGraph, filling: set[str]) -> bool:
    """Whether tables are filled only from the model's own assets, and only where TensorFlow feeds their paths."""
    if not any(
        node.calls & TABLES for graph in (meta.graph, *meta.functions.values()) for node in graph.nodes
    ):
        return True
    if not meta.own_assets or _runs(meta, (*meta.runs, meta.restores), filling):
        return False
    return table_files.are_assets(meta.graph, meta.functions, meta.assets, meta.objects)
