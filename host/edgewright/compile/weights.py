"""Which weights of an opened source are not a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def not_a_number(model: Any) -> Callable[[], list[str]]:
    """What gives their names; weights are read only when it is called. Infinity may be meant: masks hold it."""
    return partial(_found, model)


def _found(model: Any) -> list[str]:
    import numpy as np

    return [name for name, array in _weights(model) if array.dtype.kind == "f" and np.isnan(array).any()]


def _weights(model: Any) -> Iterator[tuple[str, Array]]:
    """Name and values of the weights, where the source's framework says what they are."""
    if hasattr(model, "concrete"):
        for variable in model.concrete.variables:
            yield getattr(variable, "path", variable.name.removesuffix(":0")), variable.numpy()
    elif hasattr(model, "module"):
        for name, tensor in model.module.state_dict().items():
            yield name.removeprefix("inner."), tensor.detach().float().numpy()
    elif hasattr(getattr(model, "model", None), "graph") and not model.large:
        from onnx import numpy_helper

        for item in model.model.graph.initializer:
            yield item.name, numpy_helper.to_array(item)
