"""Finds weights of an opened source that are NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def not_a_number(model: Any) -> Callable[[], list[str]]:
    """A function that returns the names of NaN weights; it reads weights only when called. Infinity may be intended: masks use it."""
    return partial(_found, model)


def _found(model: Any) -> list[str]:
    import numpy as np

    return [name for name, array in _weights(model) if array.dtype.kind == "f" and np.isnan(array).any()]


def _weights(model: Any) -> Iterator[tuple[str, Array]]:
    """Name and values of the weights, if the source's framework exposes them."""
    if hasattr(model, "concrete"):
        yield from _of_tensorflow(model.concrete)
    elif hasattr(model, "module"):
        for name, tensor in model.module.state_dict().items():
            yield name.removeprefix("inner."), tensor.detach().float().numpy()
    elif hasattr(model, "interpreter"):
        yield from _of_litert(model.path)
    elif hasattr(getattr(model, "model", None), "graph"):
        yield from () if model.large else _of_onnx(model.model.graph)
    elif hasattr(getattr(model, "model", None), "get_ops"):
        for operator in model.model.get_ops():
            if operator.get_type_name() == "Constant" and operator.get_element_type().is_real():
                readers = [port.get_node() for port in operator.output(0).get_target_inputs()]
                yield (
                    (readers or [operator])[0].get_friendly_name(),
                    operator.data,
                )  # folded constants have generated names


def _of_tensorflow(concrete: Any) -> Iterator[tuple[str, Array]]:
    """The variables; for a frozen graph, which has none, the constants."""
    import tensorflow as tf

    for variable in concrete.variables:
        yield getattr(variable, "path", variable.name.removesuffix(":0")), variable.numpy()
    for node in () if concrete.variables else concrete.graph.as_graph_def().node:
        if node.op == "Const":
            yield node.name, tf.make_ndarray(node.attr["value"].tensor)


def _of_onnx(graph: Any) -> Iterator[tuple[str, Array]]:
    from onnx import numpy_helper

    for item in graph.initializer:
        yield item.name, numpy_helper.to_array(item)


def _of_litert(path: Path) -> Iterator[tuple[str, Array]]:
    """The file's float tensors that hold data."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    kinds = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        data = model.buffers[tensor.buffer].data
        if tensor.type in kinds and data is not None:
            yield tensor.name.decode("utf-8", "replace"), np.frombuffer(bytes(data), kinds[tensor.type])
