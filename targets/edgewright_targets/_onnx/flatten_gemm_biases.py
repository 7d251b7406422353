"""Gives each Gemm a bias that the quantiser reads rightly: one number a column, and no beta. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto

    Array = np.ndarray[Any, Any]


def flat_biases(model: ModelProto) -> None:
    """Rewrites constant biases in place, as `[N]` and with beta in them.

    ONNX Runtime's fusion of a MatMul and an Add leaves `[1, N]`, and exporters write numbers alone: the quantiser fails
    on both. It also sets beta to 1 without multiplying by it.
    """
    from onnx import numpy_helper

    constants = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Gemm" or len(node.input) < 3 or node.input[2] not in constants:
            continue
        bias = numpy_helper.to_array(constants[node.input[2]])
        beta = next((item for item in node.attribute if item.name == "beta"), None)
        flat = _flat(bias, _width(node, {name: list(item.dims) for name, item in constants.items()}))
        if beta is not None and beta.f != 1:
            flat = (flat * beta.f).astype(bias.dtype)
            beta.f = 1
        if flat is not bias:
            name = f"{node.name}_flat_bias"
            model.graph.initializer.append(numpy_helper.from_array(flat, name))
            node.input[2] = name


def _width(node: NodeProto, shapes: dict[str, list[int]]) -> int | None:
    """Columns of the result; None where the weight is no constant, and so has no scale a channel."""
    turned = any(item.name == "transB" and item.i for item in node.attribute)
    return shapes[node.input[1]][0 if turned else 1] if node.input[1] in shapes else None


def _flat(bias: Array, width: int | None) -> Array:
    """The bias itself where it has its own rows or is flat already."""
    import numpy

    if width is None or bias.shape == (width,) or bias.size not in (1, width):
        return bias
    if bias.size == width > 1 and bias.shape[-1] != width:  # a column: one number per row
        return bias
    return numpy.broadcast_to(bias.reshape(-1), (width,)).copy()
