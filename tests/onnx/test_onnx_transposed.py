"""Transposed convolutions in groups, whose biases the quantiser takes for those of one group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.nouns.artifact import Artifact

CASES = {
    "depthwise": (8, {"strides": [2, 2]}),
    "pairs": (2, {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}),
    "dilated": (4, {"dilations": [2, 2], "pads": [2] * 4}),
}


@pytest.mark.parametrize("precision", ["int8", "int16x8", "int8-dynamic"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_they_are_right_in_integers(
    case: str, bias: bool, precision: str, write: Callable[..., Path], made: Callable[..., Artifact], graph_of: Callable[..., Any]
) -> None:  # fmt: skip
    groups, flags = CASES[case]
    draw = np.random.default_rng(4)
    size = {"depthwise": 17, "pairs": 16, "dilated": 8}[case]
    weights = {
        "w1": draw.normal(0, 0.3, (8, 3, 3, 3)), "w2": draw.normal(0, 0.4, (8, 8 // groups, 3, 3)),
        "w3": draw.normal(0, 0.3, (4, 8, 1, 1)), **({"b2": draw.normal(0, 1, 8)} if bias else {}),
    }  # fmt: skip
    source = write(
        "source.onnx",
        [
            ("Conv", ["x", "w1"], ["c"], {"pads": [1] * 4}), ("Relu", ["c"], ["r"], {}),
            ("ConvTranspose", ["r", "w2", *(["b2"] if bias else [])], ["t"], {"group": groups, **flags}),
            ("Relu", ["t"], ["s"], {}), ("Conv", ["s", "w3"], ["y"], {}),
        ],
        {"x": (1, 3, 8, 8)}, {"y": (1, 4, size, size)},
        {name: array.astype("float32") for name, array in weights.items()},
    )  # fmt: skip
    artifact = made(source, precision)
    assert artifact.manifest.parity.sqnr_db > 25
    graph = graph_of(artifact).graph
    (node,) = [node for node in graph.node if node.op_type == "ConvTranspose"]
    dequantised = {name for one in graph.node if one.op_type == "DequantizeLinear" for name in one.output}
    if precision != "int8-dynamic":
        assert set(node.input[:2]) <= dequantised
    assert len(node.input) == 2 + bias
