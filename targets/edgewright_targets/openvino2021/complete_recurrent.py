"""Fills in the optional parts of recurrent layers, as OpenVINO 2021.4's Model Optimizer requires.

Host side, in the `onnx` worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_SEQUENCE, _WEIGHTS, _BIAS, _LENGTHS, _STATE, _CELL = 0, 1, 3, 4, 5, 6  # indexes of the inputs


def complete(model: ModelProto, sizes: dict[str, list[int]]) -> None:
    """Names outputs that nothing reads, and adds zero biases and initial states where they are missing, in place.

    Args:
        sizes: {tensor: its shape}.
    """
    for node in model.graph.node:
        gates = _GATES.get(node.op_type)
        shape = sizes.get(node.input[_SEQUENCE]) if gates else None
        if not gates or not shape:
            continue
        kept = "h" if node.op_type != "LSTM" else "hc"
        wanted = 1 + len(kept)
        node.output[:] = [
            name or f"{node.name}/{part}"
            for name, part in zip([*node.output, *[""] * wanted][:wanted], f"y{kept}", strict=True)
        ]
        flags = {item.name: item for item in node.attribute}
        hidden, both = (
            flags["hidden_size"].i,
            1 + (b"bidirectional" in (flags["direction"].s if "direction" in flags else b"")),
        )
        node.input.extend([""] * (_CELL + 1 - len(node.input)))
        _fill(model, node, _BIAS, (both, 2 * gates * hidden))
        _fill(model, node, _STATE, (both, shape[1], hidden))
        if node.op_type == "LSTM":
            _fill(model, node, _CELL, (both, shape[1], hidden))
        while not node.input[-1]:
            del node.input[-1]


def _fill(model: ModelProto, node: NodeProto, place: int, shape: tuple[int, ...]) -> None:
    import numpy
    from onnx import TensorProto, helper, numpy_helper

    from edgewright_targets._onnx.rewrite_for_opset import constants_of

    if not node.input[place]:
        weights = constants_of(model).get(node.input[_WEIGHTS])
        kind = TensorProto.FLOAT if weights is None else weights.data_type
        node.input[place] = f"{node.name}/zeros{place}"
        zeros = numpy.zeros(shape, helper.tensor_dtype_to_np_dtype(kind))
        model.graph.initializer.append(numpy_helper.from_array(zeros, node.input[place]))
