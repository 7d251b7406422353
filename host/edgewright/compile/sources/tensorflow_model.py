"""An opened TensorFlow source of any format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from edgewright.compile.sources import end_types, float_types, tensorflow_layers
from edgewright.compile.sources.first_layers import Graph
from edgewright.compile.sources.names import clean
from edgewright.compile.sources.shapes import Axis
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BFLOAT16 = "bfloat16"


class TensorflowModel:
    """A model with static shapes.

    Attributes:
        concrete: the `ConcreteFunction`, with inputs in order and a flat list of outputs.
        module: a `tf.Module` with the same function as `serve`, for `tf.saved_model.save`.
        loops: None, or (GraphDef, input tensor names, output tensor names) of a graph with TensorFlow 1's own
            loops, which some converters lose inside a function.
        notes: assumptions, for the manifest.
        loose: outputs without a fixed shape in the model.
    """

    def __init__(
        self, call: Callable[..., Any], inputs: Sequence[TensorSpec], outputs: Sequence[str], keep: Any
    ) -> None:
        import tensorflow as tf

        self._keep = keep  # the function captures its variables, but this object owns them
        kinds = [spec.dtype for spec in inputs]
        # NumPy and boards have no bfloat16; its values are exact in float32
        inputs = [replace(spec, dtype="float32") if spec.dtype == _BFLOAT16 else spec for spec in inputs]
        self.inputs = tuple(inputs)
        self.output_names = tuple(outputs)
        self.loops: tuple[Any, list[str], list[str]] | None = None
        self.notes: tuple[str, ...] = ()
        plain = clean([spec.name for spec in inputs])
        signature = [
            tf.TensorSpec(spec.shape, spec.dtype, name=name) for spec, name in zip(inputs, plain, strict=True)
        ]

        def serve(*tensors: Any) -> list[Any]:
            given = [
                tf.cast(tensor, kind) if kind == _BFLOAT16 else tensor
                for tensor, kind in zip(tensors, kinds, strict=True)
            ]
            answers = tf.nest.flatten(call(*given))
            _refuse_kinds(answers, self.output_names)
            return [
                tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tf.identity(tensor)
                for tensor in answers
            ]

        self.module = tf.Module()
        self.module.kept = keep
        self.module.serve = tf.function(serve, input_signature=signature, autograph=False)
        self.concrete = self.module.serve.get_concrete_function()
        self.loose = [
            name
            for name, tensor in zip(self.output_names, self.concrete.outputs, strict=False)
            if not tensor.shape.is_fully_defined()
        ]

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        import numpy as np
        import tensorflow as tf

        return [np.asarray(tensor) for tensor in self.concrete(*[tf.constant(array) for array in sample])]

    def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph, and the inputs' names in it, for `compile.data.input_domains`."""
        return tensorflow_layers.read(self.concrete)

    def narrowest(self) -> str:
        """The narrowest float type that the model computes in."""
        return float_types.narrowest(float_types.of_graph_def(self.concrete.graph.as_graph_def()))

    def operators(self) -> list[str]:
        """Names of the model's operators, including those of functions that it calls."""
        graph = self.concrete.graph.as_graph_def()
        bodies = [graph.node, *(function.node_def for function in graph.library.function)]
        return [node.op for nodes in bodies for node in nodes]


def axes(shape: Any) -> list[Axis] | None:
    """The axes of a `TensorShape`, with None for a dynamic axis; None for an unknown rank."""
    return None if shape.rank is None else list(shape.as_list())


_NO_NUMBERS = {"string": end_types.TEXT, "resource": "a handle", "variant": "a handle"}


def dtype(kind: Any, name: str) -> str:
    """A numpy dtype's name.

    Args:
        name: the input's name, for the error.

    Raises:
        ModelError: text or handles, which no target accepts.
    """
    text = str(getattr(kind, "name", kind))
    if text in _NO_NUMBERS:
        raise end_types.no_tensor(
            "input", name, None, _NO_NUMBERS[text], end_types.hint_of("input", end_types.TEXT)
        )
    return text


def composite(spec: Any) -> str:
    """`ragged` or `sparse` for such a tensor or spec, else empty."""
    kind = type(spec).__name__
    return end_types.RAGGED if "Ragged" in kind else end_types.SPARSE if "Sparse" in kind else ""


def _refuse_kinds(answers: Sequence[Any], names: Sequence[str]) -> None:
    """Raises ModelError for an output that is not a tensor of numbers."""
    for at, answer in enumerate(answers):
        name = names[at] if len(names) == len(answers) else f"output_{at}"
        kind = composite(answer) or _NO_NUMBERS.get(getattr(getattr(answer, "dtype", None), "name", ""), "")
        if kind:
            raise end_types.no_tensor("output", name, None, kind)
