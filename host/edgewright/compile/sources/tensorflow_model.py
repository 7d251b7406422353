"""An opened TensorFlow source, whatever it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.first_layers import Graph
from edgewright.compile.sources import tensorflow_layers
from edgewright.errors import ModelError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class TensorflowModel:
    """A model with static shapes.

    Attributes:
        concrete: the `ConcreteFunction`: inputs in order, a flat list of outputs.
        module: a `tf.Module` with the same function as `serve`, for `tf.saved_model.save`.
        loops: None, or (GraphDef, input tensor names, output tensor names) of a graph with TensorFlow 1's own
            loops, which some converters lose inside a function.
        notes: what was assumed, for the manifest.
    """

    def __init__(
        self, call: Callable[..., Any], inputs: Sequence[TensorSpec], outputs: Sequence[str], keep: Any
    ) -> None:
        import tensorflow as tf

        self._keep = keep  # its variables are captured by the function, but owned by this object
        self.inputs = tuple(inputs)
        self.output_names = tuple(outputs)
        self.loops: tuple[Any, list[str], list[str]] | None = None
        self.notes: tuple[str, ...] = ()
        signature = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs]

        def serve(*tensors: Any) -> list[Any]:
            return [tf.identity(tensor) for tensor in tf.nest.flatten(call(*tensors))]

        self.module = tf.Module()
        self.module.kept = keep
        self.module.serve = tf.function(serve, input_signature=signature, autograph=False)
        self.concrete = self.module.serve.get_concrete_function()

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        import numpy as np
        import tensorflow as tf

        return [np.asarray(tensor) for tensor in self.concrete(*[tf.constant(array) for array in sample])]

    def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
        """For `compile.domains`: the graph and the names of the inputs in it."""
        return tensorflow_layers.read(self.concrete)

    def operators(self) -> list[str]:
        """Names of its operators, with those of functions that it calls."""
        graph = self.concrete.graph.as_graph_def()
        bodies = [graph.node, *(function.node_def for function in graph.library.function)]
        return [node.op for nodes in bodies for node in nodes]


def axes(shape: Any) -> list[int | None] | None:
    """The axes of a `TensorShape`, None for an open one; None for an open rank."""
    return None if shape.rank is None else list(shape.as_list())


def dtype(name: Any) -> str:
    """A numpy dtype's name.

    Raises:
        ModelError: text or handles, which no target takes.
    """
    text = getattr(name, "name", name)
    if text in ("string", "resource", "variant"):
        raise ModelError(
            f"model takes {text} tensors",
            hint="cut the text or image decoding off before exporting; of a graph, name what follows it: --inputs",
        )
    return str(text)
