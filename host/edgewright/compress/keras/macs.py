"""Counts multiplications with additions."""

from __future__ import annotations

import math
from typing import Any

from edgewright.compress.keras import graph, weighted_layers


def count(model: Any) -> int:
    """Of one sample, in convolutions and dense layers; open sizes count as 1."""
    return sum(_of_call(node) for node in graph.calls(model) if weighted_layers.form(node.operation))


def _of_call(node: Any) -> int:
    """Each kernel is applied whole at each place of the output; a transposed convolution's at each place of the input."""
    layer, name = node.operation, weighted_layers.class_name(node.operation)
    tensor = node.input_tensors[0] if name.endswith("Transpose") else node.outputs[0]
    places = [size or 1 for size in tensor.shape[1:]]
    del places[0 if getattr(layer, "data_format", "") == "channels_first" else -1]
    kernels = [weighted_layers.main_weights(layer)]
    if name.startswith("Separable"):
        kernels.append(layer.depthwise_kernel)
    total: int = math.prod(places) * sum(math.prod(kernel.shape) for kernel in kernels)
    return total
