"""Finds layer normalisations that an exporter wrote as Pow and ReduceMean, whose squares overflow 16-bit floats. Host side.

With halves, a GPU squares values above 256 to infinity there, and a Vision Transformer lost most of its accuracy that way. As one
LayerNormalization, from opset 17 and TensorRT 8.6 on, it accumulates in 32 bits. Not run on hardware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


_SHOWN = 8  # names in the note
_OPSET, _VERSION = 17, "8.6"  # since when there is LayerNormalization in ONNX, and in TensorRT


def squares(model: ModelProto) -> list[str]:
    """Names of the nodes that square what a mean was subtracted from, and of those that take the mean of that, in order.

    Args:
        model: a ModelProto whose nodes have names.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    found: list[str] = []
    for node in model.graph.node:
        square = makers.get(node.input[0]) if node.op_type == "ReduceMean" else None
        if square is not None and _squares_a_difference(square, makers):
            found += [square.name, node.name]
    return found


def _squares_a_difference(node: NodeProto, makers: dict[str, NodeProto]) -> bool:
    """Whether a node is Pow or the product of one value with itself, and that value is x - ReduceMean(x)."""
    if node.op_type == "Mul" and node.input[0] != node.input[1]:
        return False
    difference = makers.get(node.input[0]) if node.op_type in ("Pow", "Mul") else None
    if difference is None or difference.op_type != "Sub":
        return False
    mean = makers.get(difference.input[1])
    return mean is not None and mean.op_type == "ReduceMean" and mean.input[0] == difference.input[0]


def note(names: list[str]) -> str:
    """A line for the manifest about the nodes that `squares` found; empty if there are none."""
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"squares of layer normalisations stay in float32 in the file, as halves may overflow: {', '.join(names[:_SHOWN])}{more}; "
        f"if the board's answers are wrong, export at opset {_OPSET}, where each is one LayerNormalization "
        f"(TensorRT {_VERSION} or newer), or take fp32"
    )
