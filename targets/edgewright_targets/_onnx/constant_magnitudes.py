"""The magnitudes of an ONNX graph's float constants. Host side, in the `onnx` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


_RANDOM = ("RandomNormal", "RandomUniform")  # they have no inputs but are not constants


def magnitudes(model: ModelProto) -> dict[str, float]:
    """{tensor: greatest magnitude of the float constants that it comes from}, for tensors that do not depend on an input.

    Zero for integers, which are counts and indexes, and for weights outside the file. For values computed from constants
    it is only a guess, but good enough to recognise a stand-in for minus infinity.
    """
    graph = model.graph
    found = {item.name: _magnitude(item) for item in graph.initializer}
    for node in graph.node:
        given = [name for name in node.input if name]
        inner = any(item.HasField("g") or item.graphs for item in node.attribute)
        if inner or node.op_type in _RANDOM or not all(name in found for name in given):
            continue
        own = [_magnitude(item.t) for item in node.attribute if item.HasField("t")]
        own += [abs(number) for item in node.attribute for number in (item.f, *item.floats)]
        size = max([*own, *(found[name] for name in given)], default=0.0)
        found.update((name, size) for name in node.output if name)
    return found


def _magnitude(tensor: TensorProto) -> float:
    import numpy
    from onnx import TensorProto, numpy_helper

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
    if tensor.data_type not in kinds or tensor.data_location == TensorProto.EXTERNAL:
        return 0.0
    values = numpy_helper.to_array(tensor)
    values = numpy.abs(values[~numpy.isnan(values)].astype(numpy.float64))
    return float(values.max()) if values.size else 0.0


def constants(model: ModelProto) -> dict[str, TensorProto]:
    """{name: TensorProto} of the constants that are stored in the file itself."""
    from onnx import TensorProto

    found = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            found.update((node.output[0], item.t) for item in node.attribute if item.name == "value")
    return {name: item for name, item in found.items() if item.data_location != TensorProto.EXTERNAL}
