"""Keeps biases in floats that have another shape than the quantiser mistakes them for. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


_ONE_AXIS = ("Gemm", "LayerNormalization")


def without_biases(model: ModelProto) -> dict[str, str]:
    """Removes the biases of such nodes, in place. They stay in floats, as the runtime has no 8-bit kernel for these nodes.

    - Transposed convolutions in groups: the quantiser takes one group's channels for all.
    - Products and normalisations whose bias has several rows: it expects one number for each scale.

    Returns:
        {name of a node: its bias}.
    """
    axes = {item.name: len(item.dims) for item in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if len(node.input) < 3:
            continue
        groups = next((item.i for item in node.attribute if item.name == "group"), 1)
        rows = node.op_type in _ONE_AXIS and axes.get(node.input[2], 1) > 1
        if rows or (node.op_type == "ConvTranspose" and groups > 1):
            found[node.name] = node.input.pop()
    return found


def with_biases(model: ModelProto, biases: dict[str, str], before: ModelProto) -> None:
    """Restores the biases, in place.

    Args:
        before: the model that still has them: quantisers drop what nothing reads.
    """
    for node in model.graph.node:
        if node.name in biases:
            node.input.append(biases[node.name])
    there = {item.name for item in model.graph.initializer}
    lacking = set(biases.values()) - there
    model.graph.initializer.extend(item for item in before.graph.initializer if item.name in lacking)
