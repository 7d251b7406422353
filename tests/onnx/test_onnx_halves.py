"""Numbers that 16-bit floats do not hold stay in 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.nouns.artifact import Artifact

_DRAW = np.random.default_rng(5)
W, V = (_DRAW.normal(0, 0.3, shape).astype("float32") for shape in ((8, 8), (8, 4)))
NORMAL = {name: np.full(8, value, "float32") for name, value in (("one", 1), ("zero", 0), ("var", 4e7))}
BETWEEN = {  # nodes from `h` to `g`, their constants
    "a variance beyond halves": ([("BatchNormalization", ["s", "one", "zero", "zero", "var"], ["g"], {})], NORMAL),
    "a divisor below halves": ([("Div", ["h", "d"], ["g"], {})], {"d": np.full(8, 3e-7, "float32")}),
    "a product beyond halves": (
        [("Mul", ["h", "k"], ["p"], {}), ("Mul", ["p", "p"], ["q"], {}), ("Sqrt", ["q"], ["r"], {}), ("Div", ["r", "k"], ["g"], {})],
        {"k": np.full(8, 300, "float32")},
    ),
    "a difference of large numbers": (
        [("Add", ["h", "k"], ["p"], {}), ("Sub", ["p", "k"], ["g"], {})], {"k": np.full(8, 9000, "float32")},
    ),
    "numbers too small": (
        [("Mul", ["h", "k"], ["p"], {}), ("Div", ["p", "k"], ["g"], {})], {"k": np.full(8, 1e-7, "float32")},
    ),
}  # fmt: skip

WIDE = {
    "a variance beyond halves": "g", "a divisor below halves": "g y", "a product beyond halves": "q r",
    "a difference of large numbers": "p g", "numbers too small": "p g",
}  # fmt: skip


@pytest.mark.parametrize("case", BETWEEN)
def test_they_are_right_and_named(
    case: str, write: Callable[..., Path], made: Callable[..., Artifact], graph_of: Callable[..., Any]
) -> None:
    between, constants = BETWEEN[case]
    scale = [("Mul", ["h", "large"], ["s"], {})] if "s" in between[0][1] else []
    source = write(
        "halves.onnx",
        [("MatMul", ["x", "w"], ["h"], {}), *scale, *between, ("MatMul", ["g", "v"], ["y"], {})],
        {"x": (1, 8)}, {"y": (1, 4)},
        {"w": W, "v": V, **constants, **({"large": np.full(8, 6000, "float32")} if scale else {})},
    )  # fmt: skip
    artifact = made(source, "fp16", calibration=None)
    assert artifact.manifest.parity.sqnr_db > 50
    (note,) = [note for note in artifact.manifest.notes if "in 32 bits" in note]
    assert {name.strip() for name in note.split(":")[1].split(",")} == set(WIDE[case].split())
    kinds = {item.name: item.data_type for item in graph_of(artifact).graph.initializer}
    assert kinds["w"] == 10  # what halves hold is halves


def test_a_constant_of_a_node_and_an_output_stay_wide(
    write: Callable[..., Path], made: Callable[..., Artifact], graph_of: Callable[..., Any]
) -> None:
    """A small change on a large mean, from a product that a Constant node feeds."""
    import onnx

    source = write(
        "mean.onnx",
        [("MatMul", ["x", "v"], ["h"], {}), ("Add", ["h", "k"], ["y"], {})],
        {"x": (1, 8)}, {"y": (1, 4)}, {"v": V},
    )  # fmt: skip
    model = onnx.load(source)
    value = onnx.numpy_helper.from_array(np.full(4, 1013.0, "float32"))
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["k"], value=value))
    onnx.save(model, source)
    artifact = made(source, "fp16", calibration=None)
    graph = graph_of(artifact).graph
    assert [node.op_type for node in graph.node].count(
        "Cast"
    ) == 2  # x is halved for its product, which is widened again
    assert artifact.manifest.parity.sqnr_db > 100
