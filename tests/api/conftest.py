"""One lab board, and two small ONNX models, for the Python API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def network(seed: int) -> bytes:
    """A network with 16 features, one hidden layer and ten classes."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    weights = {"w": (16, 32), "v": (32, 10)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
        [
            numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    return bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
        ).SerializeToString()
    )


@pytest.fixture(scope="module")
def place(lab_up: Callable[..., Any], module_home: Path) -> Path:
    """A working folder with old.onnx, digits.onnx, and the fleet file of one board, kitchen-1."""
    for seed, name in enumerate(("old", "digits")):
        (module_home / f"{name}.onnx").write_bytes(network(seed))
    lab_up(1, name="kitchen")
    return module_home
