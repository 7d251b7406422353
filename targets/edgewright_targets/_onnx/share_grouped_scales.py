"""Keeps the biases of grouped transposed convolutions in floats: the quantiser takes one group's channels for all. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


def without_biases(model: ModelProto) -> dict[str, str]:
    """Takes the biases of such nodes away, in place: they stay in floats, as the runtime has no 8-bit kernel for these nodes.

    Returns:
        {name of a node: its bias}.
    """
    found = {}
    for node in model.graph.node:
        groups = next((item.i for item in node.attribute if item.name == "group"), 1)
        if node.op_type == "ConvTranspose" and groups > 1 and len(node.input) > 2:
            found[node.name] = node.input.pop()
    return found


def with_biases(model: ModelProto, biases: dict[str, str], before: ModelProto) -> None:
    """Gives them back, in place.

    Args:
        before: the model that still holds them: quantisers drop what nothing reads.
    """
    for node in model.graph.node:
        if node.name in biases:
            node.input.append(biases[node.name])
    there = {item.name for item in model.graph.initializer}
    lacking = set(biases.values()) - there
    model.graph.initializer.extend(item for item in before.graph.initializer if item.name in lacking)
