"""Graphs that pnnx would convert wrongly, or refuse, as their authors wrote them: the artifact's outputs are the source's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from right_outputs import FLOAT, INT64, assert_right

from edgewright.errors import ConversionError

PLANES = [("x", FLOAT, [1, 4, 8, 8])]
KERNEL = (
    np.random.default_rng(5).normal(size=(4, 6, 3, 3)).astype("float32")
)  # of a ConvTranspose: in, out, y, x
HALVED = {"kernel_shape": [3, 3], "strides": [2, 2]}
DOUBLED = {"strides": [2, 2]}
ENLARGED = ("ConvTranspose", ["x", "kernel"], ["y"])
# name -> (nodes, initialisers, opset)
GRAPHS: dict[str, tuple[list[Any], dict[str, Any], int]] = {
    "softmax of an old opset": ([("Softmax", ["x"], ["y"], {})], {}, 9),
    "softmax over all axes behind one": ([("Softmax", ["x"], ["y"], {"axis": 2})], {}, 9),
    **{
        f"{kind} padded on one side, {pads}": ([(kind, ["x"], ["y"], {**HALVED, "pads": pads, **more})], {}, 17)
        for pads in ([0, 0, 1, 1], [1, 1, 0, 0])
        for kind, more in (("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1}))
        if (kind, pads) != ("MaxPool", [0, 0, 1, 1])
    },
    **{
        f"{kind} {automatic}": ([(kind, ["x"], ["y"], {**HALVED, "auto_pad": automatic})], {}, 17)
        for kind in ("MaxPool", "AveragePool")
        for automatic in ("SAME_UPPER", "SAME_LOWER")
    },
    **{
        f"ConvTranspose {automatic}": ([(*ENLARGED, {**DOUBLED, "auto_pad": automatic})], {"kernel": KERNEL}, 17)
        for automatic in ("SAME_UPPER", "SAME_LOWER", "VALID")
    },
    "ConvTranspose with different pads": ([(*ENLARGED, {**DOUBLED, "pads": [0, 1, 1, 0]})], {"kernel": KERNEL}, 17),
    "ConvTranspose with a smaller output": ([(*ENLARGED, {**DOUBLED, "output_shape": [16, 16]})], {"kernel": KERNEL}, 17),
    "ConvTranspose with a larger output": ([(*ENLARGED, {**DOUBLED, "output_shape": [18, 18]})], {"kernel": KERNEL}, 17),
    "Pad without a mode": ([("Pad", ["x", "by"], ["y"], {})], {"by": np.array([0, 0, 1, 0, 0, 0, 0, 2])}, 17),
    "sum over one axis": ([("ReduceSum", ["x", "axes"], ["y"], {"keepdims": 0})], {"axes": np.array([1])}, 17),
    "mean whose axes are an input": ([("ReduceMean", ["x", "axes"], ["y"], {})], {"axes": np.array([-1])}, 18),
    "mean in an opset with Gelu": (
        [("Gelu", ["x"], ["g"], {}), ("ReduceMean", ["g", "axes"], ["y"], {"keepdims": 0})], {"axes": np.array([1])}, 20,
    ),
    "sum in an opset with Gelu": (
        [("Gelu", ["x"], ["g"], {"approximate": "tanh"}), ("ReduceSum", ["g", "axes"], ["y"], {})], {"axes": np.array([2])}, 20,
    ),
    "group normalisation": (
        [("GroupNormalization", ["x", "a", "b"], ["n"], {"num_groups": 2}), ("ReduceMax", ["n", "axes"], ["y"], {})],
        {"a": np.float32([1, 2, 3, 4]), "b": np.float32([4, 3, 2, 1]), "axes": np.array([1])}, 21,
    ),
    "ConvTranspose with gaps": ([("ConvTranspose", ["x", "kernel"], ["y"], {"strides": [4, 4], "auto_pad": "SAME_UPPER"})], {"kernel": KERNEL}, 17),
    "maximum over two axes": ([("ReduceMax", ["x"], ["y"], {"axes": [2, 3], "keepdims": 0})], {}, 17),
    "cube of negative numbers": ([("Pow", ["x", "three"], ["y"], {})], {"three": np.float32(3)}, 17),
    "softsign": ([("Softsign", ["x"], ["y"], {})], {}, 17),
}  # fmt: skip

NOT_INFERRED = {"sum in an opset with Gelu": [1, 4, 1, 8], "group normalisation": [1, 1, 8, 8]}


@pytest.mark.parametrize("what", GRAPHS)
def test_outputs_are_the_sources(compiled: Any, graph: Any, what: str) -> None:
    nodes, weights, opset = GRAPHS[what]
    source = graph(nodes, PLANES, [("y", FLOAT, NOT_INFERRED.get(what))], weights, opset)
    assert_right(compiled(source), source, 1e-5)


def test_a_table_with_few_rows(compiled: Any, graph: Any) -> None:
    table = np.random.default_rng(6).normal(size=(2, 6)).astype("float32")
    source = graph(
        [("Gather", ["table", "x"], ["rows"], {"axis": 0}), ("Add", ["rows", "z"], ["y"], {})],
        [("x", INT64, [1, 5]), ("z", FLOAT, [1, 5, 6])], [("y", FLOAT, [1, 5, 6])], {"table": table},
    )  # fmt: skip
    assert_right(compiled(source), source, 1e-5, most=2)


def test_negative_indexes_are_refused(compiled: Any, graph: Any, tmp_path: Any) -> None:
    source = graph(
        [("Gather", ["table", "x"], ["y"], {})], [("x", INT64, [1, 5])], [("y", FLOAT, [1, 5, 6])],
        {"table": np.random.default_rng(6).normal(size=(20, 6)).astype("float32")},
    )  # fmt: skip
    np.savez(tmp_path / "data.npz", x=np.array([[0, 1, 2, 3, -1]] * 8))
    with pytest.raises(ConversionError, match="input x has negative indexes"):
        compiled(source, calibration=tmp_path / "data.npz")
