"""Inspects TensorFlow graphs without TensorFlow: `.pb` files and their operators."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from edgewright.compile.inspection import protobuf, unsafe_operators
from edgewright.compile.inspection.graph_node import Node
from edgewright.nouns.base import Noun

# field numbers of graph.proto, node_def.proto, function.proto and attr_value.proto
_GRAPH_NODE, _GRAPH_LIBRARY, _LIBRARY_FUNCTION = 1, 2, 1
_LIBRARY_GRADIENT, _LIBRARY_REGISTERED, _GRADIENT_FUNCTION, _REGISTERED_FUNCTION = 2, 3, 2, 1
_FUNCTION_SIGNATURE, _FUNCTION_NODE, _FUNCTION_ATTRIBUTE, _SIGNATURE_NAME, _SIGNATURE_INPUT = 1, 3, 5, 1, 2
_NODE_NAME, _NODE_OP, _NODE_INPUT, _NODE_ATTRIBUTE = 1, 2, 3, 5
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_LIST, _VALUE_STRING, _VALUE_FUNCTION, _LIST_FUNCTION = 1, 2, 10, 9
_ARGUMENT_NAME, _ARGUMENT_LIST = 1, (5, 6)
PASSES_ON = frozenset(("Identity", "PlaceholderWithDefault"))
CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))
_STANDS_IN = "api_implements"
_VARIABLES = ("Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable")


class Graph(Noun, frozen=True, kw_only=True):
    """A graph, or a function.

    Attributes:
        arguments: a function's arguments; none if one of them is a list, since inputs cannot then be matched to arguments.
        stands_in: TensorFlow may run it in place of another function, or as another function's gradient.
    """

    nodes: tuple[Node, ...]
    arguments: tuple[str, ...] = ()
    stands_in: bool = False


class GraphFile(Noun, frozen=True, kw_only=True):
    """The contents of the file.

    Attributes:
        nodes: the number of nodes.
        variables: names of nodes whose value is kept outside of the graph, which is then not frozen.
        quantised: whether it has integer arithmetic.
        unsafe: operators that reach beyond the model.
    """

    nodes: int
    variables: tuple[str, ...]
    quantised: bool
    unsafe: tuple[str, ...]


def look(path: Path) -> GraphFile | None:
    """Reads the structure; returns None for another kind of file, such as a SavedModel's `.pb`.

    Raises:
        ValueError: it is truncated.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _graph(memoryview(mapped))


def _graph(data: memoryview) -> GraphFile | None:
    nodes, quantised = 0, False
    variables: list[str] = []
    unsafe: set[str] = set()
    libraries: list[memoryview] = []
    for number, value in protobuf.fields(data):
        if number == _GRAPH_LIBRARY and isinstance(value, memoryview):
            libraries.append(value)
        if number != _GRAPH_NODE:
            continue
        if not isinstance(value, memoryview):
            return None  # field 1 is a version in ONNX and SavedModel files
        operator = protobuf.text(value, _NODE_OP)
        if not operator.isidentifier():
            return None
        nodes += 1
        unsafe.update(unsafe_operators.unsafe([node(value)]))
        quantised |= operator.startswith("Quantized")
        if operator in _VARIABLES:
            variables.append(protobuf.text(value, _NODE_NAME))
    if not nodes:
        return None
    for function in functions(libraries).values():
        unsafe.update(unsafe_operators.unsafe(function.nodes))
    return GraphFile(
        nodes=nodes, variables=tuple(variables), quantised=quantised, unsafe=tuple(sorted(unsafe))
    )


def graph(data: memoryview) -> tuple[Graph, dict[str, Graph]]:
    """A GraphDef and its functions by name.

    Raises:
        ValueError: it is damaged, or ambiguous, so that other readers may see other operators in it.
    """
    found = functions(list(protobuf.children(data, _GRAPH_LIBRARY)))
    return Graph(nodes=tuple(map(node, protobuf.children(data, _GRAPH_NODE)))), found


def functions(libraries: Sequence[memoryview]) -> dict[str, Graph]:
    """The functions of FunctionDefLibraries; TensorFlow merges the libraries.

    Raises:
        ValueError: a function has no name, another function's name, or the name of an operator that is considered harmless.
    """
    found: dict[str, Graph] = {}
    stand_ins = {name for library in libraries for name in _gradients(library)}
    for library in libraries:
        for data in protobuf.children(library, _LIBRARY_FUNCTION):
            name, function = _function(data)
            if name in found or name in PASSES_ON | CALLS:
                raise ValueError(f"a second function or operator {name}")
            found[name] = msgspec.structs.replace(function, stands_in=True) if name in stand_ins else function
    return found


def _gradients(library: memoryview) -> Iterator[str]:
    for number, at in ((_LIBRARY_GRADIENT, _GRADIENT_FUNCTION), (_LIBRARY_REGISTERED, _REGISTERED_FUNCTION)):
        for one in protobuf.children(library, number):
            yield protobuf.text(one, at)


def _function(data: memoryview) -> tuple[str, Graph]:
    """A FunctionDef and its name."""
    signatures = list(protobuf.children(data, _FUNCTION_SIGNATURE))
    if len(signatures) != 1:
        raise ValueError(f"a function with {len(signatures)} signatures")
    arguments = list(protobuf.children(signatures[0], _SIGNATURE_INPUT))
    lists = any(number in _ARGUMENT_LIST for one in arguments for number, _ in protobuf.fields(one))
    attributes = {protobuf.text(one, _ENTRY_KEY) for one in protobuf.children(data, _FUNCTION_ATTRIBUTE)}
    return _single_text(signatures[0], _SIGNATURE_NAME), Graph(
        nodes=tuple(map(node, protobuf.children(data, _FUNCTION_NODE))),
        arguments=() if lists else tuple(protobuf.text(one, _ARGUMENT_NAME) for one in arguments),
        stands_in=_STANDS_IN in attributes,
    )


def node(data: memoryview) -> Node:
    """A NodeDef."""
    op = _single_text(data, _NODE_OP)
    calls, strings = {op}, {}
    for entry in protobuf.children(data, _NODE_ATTRIBUTE):
        key = protobuf.text(entry, _ENTRY_KEY)
        for value in protobuf.children(entry, _ENTRY_VALUE):
            calls.update(_functions_of(value))
            for number, field in protobuf.fields(value):
                if number == _VALUE_STRING and isinstance(field, memoryview):
                    strings[key] = bytes(field[:4096])
    return Node(
        name=_single_text(data, _NODE_NAME),
        op=op,
        inputs=tuple(source(bytes(one).decode()) for one in protobuf.children(data, _NODE_INPUT)),
        calls=frozenset(calls),
        strings=strings,
    )


def source(text: str) -> str:
    """The node that an input refers to: `^a`, `a`, `a:1`, `a:output:0`."""
    return text.lstrip("^").split(":")[0]


def _functions_of(value: memoryview) -> Iterator[str]:
    """Names of the functions in an AttrValue."""
    for one in protobuf.children(value, _VALUE_FUNCTION):
        yield protobuf.text(one, 1)
    for listed in protobuf.children(value, _VALUE_LIST):
        for one in protobuf.children(listed, _LIST_FUNCTION):
            yield protobuf.text(one, 1)


def _single_text(data: memoryview, number: int) -> str:
    """The single string in field `number`."""
    found = list(protobuf.children(data, number))
    if len(found) != 1:
        raise ValueError(f"field {number} is there {len(found)} times")
    return bytes(found[0]).decode()


def is_saved_model(path: Path) -> bool:
    """Whether a file is a SavedModel's `saved_model.pb`."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        found = dict(protobuf.fields(memoryview(mapped)))
    except ValueError:
        return False
    return isinstance(found.get(1), int) and isinstance(found.get(2), memoryview) and set(found) <= {1, 2}
