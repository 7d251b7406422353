"""Finds the nodes whose numbers 16-bit floats do not hold. Host side, in the `onnx` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto

    Array = np.ndarray[Any, Any]


_GREATEST = 65504.0
_LEAST = 2.0**-14  # below, halves lose digits
_MARGIN = 4  # other inputs may give so many times what was seen
_WHOLE = 2048  # halves hold every whole number up to here
_MEAN = 16  # a number so many times as large as the range that it moves in loses what matters of it
_CANCELLED = 8  # a sum so many times smaller than what it is made of is so many times less accurate
_LOST = 2.0**-9  # of a constant, relative
_DIVISORS = {"BatchNormalization": (4,), "Div": (1,)}  # inputs of which each value matters by itself
_BOUNDS = ("Clip",)  # the greatest half is as good a bound as any greater number


def exceeding(model: ModelProto, spans: dict[str, tuple[float, float]]) -> set[str]:
    """Names of nodes that are to compute in 32 bits.

    They make or read a tensor that is too large, too small, or moves too little for its size; count beyond what halves
    count; or read a constant that halves change.

    Args:
        model: every node named, constants as initialisers.
        spans: {tensor: (least, greatest value)} of the activations.
    """
    from onnx import numpy_helper

    floats = {item.name: item for item in model.graph.initializer if item.data_type == 1}
    held = {name: numpy_helper.to_array(item) for name, item in floats.items()}
    tensors = {name for name, span in spans.items() if _unheld(*span)}
    for node in model.graph.node:
        tensors |= _cancelled(node, spans) | _counted(node, spans)
    return {
        node.name
        for node in model.graph.node
        if tensors & {*node.input, *node.output} or _changed(node, held)
    }


def _unheld(low: float, high: float) -> bool:
    import math

    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return False
    size = max(abs(low), abs(high))
    return size * _MARGIN > _GREATEST or size < _LEAST or (high - low) * _MEAN < size


def _cancelled(node: NodeProto, spans: dict[str, tuple[float, float]]) -> set[str]:
    """What a sum takes away from one another."""
    if node.op_type not in ("Add", "Sub") or node.output[0] not in spans:
        return set()
    made = _size(spans[node.output[0]])
    return {name for name in node.input if name in spans and 0 < made * _CANCELLED < _size(spans[name])}


def _counted(node: NodeProto, spans: dict[str, tuple[float, float]]) -> set[str]:
    """Whole numbers that became floats."""
    if node.op_type != "Cast" or node.input[0] in spans or node.output[0] not in spans:
        return set()
    return {node.output[0]} if _size(spans[node.output[0]]) > _WHOLE else set()


def _size(span: tuple[float, float]) -> float:
    return max(abs(span[0]), abs(span[1]))


def _changed(node: NodeProto, held: dict[str, Array]) -> bool:
    """Whether halves change a constant that the node reads or is made of."""
    from onnx import TensorProto, numpy_helper

    own = [item.t for item in node.attribute if item.name == "value"]
    arrays = [numpy_helper.to_array(item) for item in own if item.data_type == TensorProto.FLOAT]
    if any(_lost(array, each=False) for array in arrays):
        return True
    if node.op_type in _BOUNDS:
        return False
    alone = _DIVISORS.get(node.op_type, ())
    return any(_lost(held[name], each=at in alone) for at, name in enumerate(node.input) if name in held)


def _lost(values: Array, *, each: bool) -> bool:
    import numpy

    wide = values[numpy.isfinite(values) & (values != 0)].astype(numpy.float64)
    if not wide.size:
        return False
    if numpy.abs(wide).max() > _GREATEST:
        return True
    error = numpy.abs(wide - wide.astype(numpy.float16))
    if each:
        return bool((error > _LOST * numpy.abs(wide)).any())
    return bool(numpy.linalg.norm(error) > _LOST * numpy.linalg.norm(wide))
