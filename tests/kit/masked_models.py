"""Attention whose mask is a constant that stands for minus infinity, and data for it."""

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


def write_keras(folder: Path) -> None:
    """`masked.keras`: attention of Keras's own with a mask and causal; `lowest.keras`: what is masked goes into a maximum.

    And `masked.npz`, `lowest.npz`.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(9)
    ids = layers.Input((LONG,), batch_size=1, dtype="int32", name="ids")
    mask = layers.Input((LONG,), batch_size=1, name="mask")
    words = layers.Embedding(WORDS, WIDE, embeddings_initializer="normal")(ids)
    seen = keras.ops.expand_dims(mask, 1)
    attended = layers.MultiHeadAttention(4, 8)(words, words, attention_mask=seen, use_causal_mask=True)
    keras.Model([ids, mask], layers.Dense(20)(attended)).save(folder / "masked.keras")

    given = layers.Input((LONG, 6), batch_size=1, name="x")
    # of which Keras makes a BiasAdd along the second axis
    lowered = layers.Dense(WIDE)(given) + (1.0 - keras.ops.expand_dims(mask, 2)) * -3.4e38
    greatest = keras.ops.max(lowered, axis=1)
    keras.Model([given, mask], layers.Dense(20)(greatest)).save(folder / "lowest.keras")

    draw = np.random.default_rng(1)
    seen = (np.arange(LONG) < draw.integers(3, LONG + 1, (48, 1, 1))).astype("float32")
    np.savez(folder / "masked.npz", ids=draw.integers(0, WORDS, (48, 1, LONG)).astype("int32"), mask=seen)
    np.savez(folder / "lowest.npz", x=draw.normal(size=(48, 1, LONG, 6)).astype("float32"), mask=seen)


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
