"""An ONNX graph by its tensors: which node makes each, which nodes read it, and which are constants."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Graph:
    """The outermost graph of a ModelProto whose nodes have unique names. Nodes of branches and loops count only by what they capture.

    Attributes:
        nodes: in their order.
        makers: tensor -> the node that makes it.
        captured: tensors that the inner graphs of branches and loops read.
        ends: tensors that are outputs of the model.
    """

    def __init__(self, model: Any) -> None:
        self._graph = model.graph
        self.nodes = list(model.graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.ends = {item.name for item in model.graph.output}
        self.captured: set[str] = set()
        self._readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            inside = set(_captured(node))
            self.captured |= inside
            for name in (*node.input, *inside):
                self._readers.setdefault(name, []).append(node)
        self._held = {item.name: item for item in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                values = [item.t for item in node.attribute if item.name == "value"]
                self._held.update((node.output[0], value) for value in values)

    def readers(self, name: str) -> list[Any]:
        """The nodes that read a tensor, once per input; a node with inner graphs also reads what these capture."""
        return self._readers.get(name, [])

    def only_reader(self, name: str) -> Any:
        """The node that alone reads a tensor, which is no output of the model; else None."""
        found = self.readers(name)
        return found[0] if len(found) == 1 and name not in self.ends | self.captured else None

    def parameters(self) -> int:
        """How many values the constants of floats hold; single values do not count."""
        return sum(
            math.prod(self.shape(name)) for name in self._held if self.is_float(name) and self.shape(name)
        )

    def is_float(self, name: str) -> bool:
        """Whether a tensor is a constant of floats."""
        from onnx import TensorProto

        kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
        return name in self._held and self._held[name].data_type in kinds

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a constant."""
        return tuple(self._held[name].dims)

    def constant(self, name: str) -> Array | None:
        """A constant as it is; None if the tensor is none."""
        from onnx import numpy_helper

        found: Array | None = numpy_helper.to_array(self._held[name]) if name in self._held else None
        return found

    def values(self, name: str) -> Array:
        """A copy of a constant of floats, float32."""
        from onnx import numpy_helper

        found: Array = numpy_helper.to_array(self._held[name]).astype("float32")
        return found

    def write(self, name: str, values: Array) -> None:
        """Replaces the values of a constant of floats, in its own float type, in place."""
        from onnx import numpy_helper

        tensor = self._held[name]
        own = numpy_helper.to_array(tensor).dtype
        tensor.CopyFrom(numpy_helper.from_array(values.astype(own), tensor.name))

    def write_input(self, node: Any, index: int, values: Array) -> None:
        """Replaces the constant that a node reads. If others read it too, the node gets a copy: exporters share equal constants."""
        name = node.input[index]
        if self.only_reader(name) is None:
            name = self._copied(name, node)
            self._readers[node.input[index]].remove(node)
            self._readers[name] = [node]
            node.input[index] = name
        self.write(name, values)

    def _copied(self, name: str, node: Any) -> str:
        made = type(self._held[name]).FromString(self._held[name].SerializeToString())
        made.name = f"{node.name}/{name}"
        while made.name in self._held or made.name in self.makers:
            made.name += "_"
        self._graph.initializer.append(made)
        self._held[made.name] = self._graph.initializer[-1]
        return str(made.name)


def attribute(node: Any, name: str, default: Any) -> Any:
    """The value of a node's attribute."""
    from onnx import helper

    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)


def _captured(node: Any) -> Iterator[str]:
    """Names that the inner graphs of a node read or return; those that they make themselves are among them."""
    for graph in (graph for item in node.attribute for graph in (item.g, *item.graphs)):
        yield from (item.name for item in graph.output)
        for one in graph.node:
            yield from one.input
            yield from _captured(one)
