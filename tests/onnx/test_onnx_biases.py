"""Biases of products and normalisations in shapes that the quantiser does not expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.nouns.artifact import Artifact

CASES = {
    "a row, as fused additions leave it": ((1, 8), {}),
    "a number for all columns": ((), {}),
    "a number for each row": ((3, 1), {}),
    "several rows": ((3, 8), {"transB": 1}),
    "beta": ((8,), {"beta": 3.0, "alpha": 2.0, "transB": 1}),
}


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("case", CASES)
def test_a_product_is_right_in_integers(
    case: str, target: str, write: Callable[..., Path], made: Callable[..., Artifact]
) -> None:
    shape, flags = CASES[case]
    draw = np.random.default_rng(0)
    rows = shape[0] if len(shape) == 2 else 1
    weights = {
        "w": draw.normal(0, 0.3, (8, 16) if "transB" in flags else (16, 8)), "c": draw.normal(1, 3, shape),
        "v": draw.normal(0, 0.3, (8, 6)),
    }  # fmt: skip
    source = write(
        "product.onnx",
        [("Gemm", ["x", "w", "c"], ["y"], flags), ("Relu", ["y"], ["r"], {}), ("MatMul", ["r", "v"], ["z"], {})],
        {"x": (rows, 16)}, {"z": (rows, 6)},
        {name: np.asarray(array, "float32") for name, array in weights.items()},
    )  # fmt: skip
    assert made(source, "int8", target=target).manifest.parity.sqnr_db > 30


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_a_normalisation_over_two_axes_is_right_in_integers(
    precision: str, write: Callable[..., Path], made: Callable[..., Artifact], graph_of: Callable[..., Any]
) -> None:
    draw = np.random.default_rng(0)
    weights = {
        "s": draw.normal(1, 0.3, (4, 8)),
        "b": draw.normal(0, 1, (4, 8)),
        "v": draw.normal(0, 0.3, (8, 6)),
    }
    source = write(
        "normal.onnx",
        [("LayerNormalization", ["x", "s", "b"], ["y"], {"axis": 1}), ("MatMul", ["y", "v"], ["z"], {})],
        {"x": (1, 4, 8)}, {"z": (1, 4, 6)},
        {name: array.astype("float32") for name, array in weights.items()}, opset=17,
    )  # fmt: skip
    artifact = made(source, precision)
    assert artifact.manifest.parity.sqnr_db > 30
    assert [node.op_type for node in graph_of(artifact).graph.node].count("LayerNormalization") == 1
