"""Runs an ONNX model on samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources import onnx_session
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Session:
    """A model in ONNX Runtime.

    Args:
        inputs: of the network: a model that was made of it may take other floats.
        names: of the tensors that are computed: any of the outermost graph.
    """

    def __init__(self, model: Any, inputs: Sequence[TensorSpec], names: Sequence[str]) -> None:
        import onnx

        made = type(model)()
        made.CopyFrom(model)
        there = {item.name for item in made.graph.output}
        more = [name for name in dict.fromkeys(names) if name not in there]
        made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in more)
        self._session = onnx_session.session(made.SerializeToString())
        self._names = list(names)
        kinds = {item.name: item.type.tensor_type.elem_type for item in made.graph.input}
        dtype = onnx.helper.tensor_dtype_to_np_dtype
        self._inputs = {spec.name: dtype(kinds[spec.name]) for spec in inputs}

    def run(self, samples: Sequence[Array]) -> Iterator[list[Array]]:
        """The tensors for one sample after another, each with a batch of 1.

        Args:
            samples: one array per input, shape (n, *shape of one sample).
        """
        for row in zip(*samples, strict=True):
            pairs = zip(self._inputs.items(), row, strict=True)
            feed = {name: array[None].astype(dtype, copy=False) for (name, dtype), array in pairs}
            yield self._session.run(self._names, feed)
