"""Makes recurrent layers' weights unsigned, which ONNX Runtime's quantiser leaves signed. Host side.

On x86 without VNNI the runtime sums products of unsigned and signed 8-bit integers in 16 bits, two at a time, and they
saturate; products of two unsigned integers are summed in 32 bits. The numbers stay the same, with a zero point that is 128
higher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


_WEIGHTS = {
    "DynamicQuantizeLSTM": (1, 2, 9, 11)
}  # indexes of the inputs with weights, then with their zero points


def unsigned(model: ModelProto) -> ModelProto:
    """The model, changed in place. A weight that several layers share is changed once."""
    import numpy
    from onnx import TensorProto, numpy_helper

    weights = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        for place in _WEIGHTS.get(node.op_type, ()):
            weight = weights[node.input[place]]
            if weight.data_type == TensorProto.INT8:
                moved = numpy_helper.to_array(weight).astype(numpy.int16) + 128
                weight.CopyFrom(numpy_helper.from_array(moved.astype(numpy.uint8), weight.name))
    return model
