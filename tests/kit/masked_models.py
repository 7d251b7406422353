"""Attention whose mask is made of a constant that stands for minus infinity, and data for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WORDS, LONG, WIDE = 100, 12, 32


def write(folder: Path, minus_infinity: float) -> Path:
    """`attention.onnx` with the inputs `ids` and `mask`, and `text.npz`; returns the model's path."""
    import onnx
    from onnx import TensorProto, helper

    nodes, weights = attention(minus_infinity)
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, [1, LONG]) for name in ("ids", "mask")]
    results = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, LONG, 20])]
    graph = helper.make_graph(nodes, "attention", given, results, weights)
    path = folder / "attention.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    draw = np.random.default_rng(1)
    lengths = draw.integers(3, LONG + 1, (80, 1, 1))
    ids = draw.integers(0, WORDS, (80, 1, LONG))
    np.savez(folder / "text.npz", ids=ids, mask=(np.arange(LONG) < lengths).astype("int64"))
    return path


def attention(minus_infinity: float) -> tuple[list[Any], list[Any]]:
    """(nodes, weights)."""
    from onnx import TensorProto, helper, numpy_helper

    draw, node = np.random.default_rng(0), helper.make_node
    shapes = {"table": (WORDS, WIDE), **dict.fromkeys(("wq", "wk", "wv"), (WIDE, WIDE)), "wo": (WIDE, 20)}
    held = {name: draw.normal(size=shape) / shape[1] ** 0.5 for name, shape in shapes.items()}
    held["table"] *= WIDE**0.5
    held.update(one=np.array(1.0), low=np.array(minus_infinity))
    weights = [numpy_helper.from_array(array.astype("float32"), name) for name, array in held.items()]
    weights.append(numpy_helper.from_array(np.array([1]), "axis"))
    nodes = [
        node("Gather", ["table", "ids"], ["e"]),
        *(node("MatMul", ["e", f"w{name}"], [name]) for name in "qkv"),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["qk"]),
        node("Cast", ["mask"], ["counted"], to=TensorProto.FLOAT),
        node("Sub", ["one", "counted"], ["inverse"]),
        node("Mul", ["inverse", "low"], ["bias"]),
        node("Unsqueeze", ["bias", "axis"], ["bias3"]),
        node("Add", ["qk", "bias3"], ["masked"]),
        node("Softmax", ["masked"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["o"]),
        node("MatMul", ["o", "wo"], ["logits"]),
    ]
    return nodes, weights
