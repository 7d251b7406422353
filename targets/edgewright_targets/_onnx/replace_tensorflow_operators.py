"""Replaces or refuses operators of TensorFlow and LiteRT that tf2onnx leaves in its graphs. Host side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


_CUBE = 0.044715  # in the tanh approximation of GELU


def settle(model: ModelProto) -> None:
    """Replaces what it can, in place.

    Raises:
        ConversionError: an operator remains that ONNX does not have.
    """
    from edgewright.sdk import Code, ConversionError

    nodes: list[NodeProto] = []
    for node in model.graph.node:
        known = {"Erfc": _erfc, "TFL_GELU": _gelu}.get(node.op_type)
        nodes += known(model, node) if known else [node]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    left = {node.op_type: node.name for node in reversed(copies) if not _in_onnx(node)}
    if left:
        found = ", ".join(
            f"{kind} ({name.rpartition('PartitionedCall/')[2]})" for kind, name in sorted(left.items())
        )
        raise ConversionError(
            f"tf2onnx has no ONNX for operators of this model: {found}",
            hint="write these operators in other words in the model",
            code=Code.OPERATOR_UNKNOWN,
        )


def _in_onnx(node: NodeProto) -> bool:
    from onnx import defs

    return node.domain not in ("", "ai.onnx") or defs.has(node.op_type, "")


def _erfc(model: ModelProto, node: NodeProto) -> list[NodeProto]:
    """1 - Erf(x)."""
    one = _constant(model, 1.0)
    inner = f"{node.output[0]}_erf"
    return [_node("Erf", [node.input[0]], inner), _node("Sub", [one, inner], node.output[0])]


def _gelu(model: ModelProto, node: NodeProto) -> list[NodeProto]:
    """x / 2 (1 + Erf(x / sqrt 2)), or its approximation if the file requests it."""
    x, out = node.input[0], node.output[0]
    flags = {item.name: item.i for item in node.attribute}
    if flags.get("approximate"):
        steps = [
            _node("Mul", [x, x], f"{out}_square"),
            _node("Mul", [f"{out}_square", _constant(model, _CUBE)], f"{out}_share"),
            _node("Add", [f"{out}_share", _constant(model, 1.0)], f"{out}_factor"),
            _node("Mul", [f"{out}_factor", x], f"{out}_bent"),
            _node("Mul", [f"{out}_bent", _constant(model, math.sqrt(2 / math.pi))], f"{out}_scaled"),
            _node("Tanh", [f"{out}_scaled"], f"{out}_curve"),
        ]
    else:
        steps = [
            _node("Mul", [x, _constant(model, math.sqrt(0.5))], f"{out}_scaled"),
            _node("Erf", [f"{out}_scaled"], f"{out}_curve"),
        ]
    return [
        *steps,
        _node("Add", [f"{out}_curve", _constant(model, 1.0)], f"{out}_gate"),
        _node("Mul", [x, _constant(model, 0.5)], f"{out}_half"),
        _node("Mul", [f"{out}_half", f"{out}_gate"], out),
    ]


def _node(kind: str, inputs: list[str], output: str) -> NodeProto:
    from onnx import helper

    return helper.make_node(kind, inputs, [output], name=output)


def _constant(model: ModelProto, value: float) -> str:
    """The name of a float32 scalar."""
    import numpy
    from onnx import numpy_helper

    name = f"constant_{value!r}"
    if all(item.name != name for item in model.graph.initializer):
        model.graph.initializer.append(numpy_helper.from_array(numpy.array(value, numpy.float32), name))
    return name
