"""Small models whose outputs int8 rounds too coarsely, and similar ones whose outputs it does not. Seeded.

`write_onnx(folder)` makes the ONNX models in this process; `python coarse_models.py FOLDER` makes the Keras models, also those of
`masked_models`, in a separate process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

SCORES = 6  # columns behind the four of a box


def write_onnx(folder: Path) -> None:
    """`head`: pixels next to scores; `even`: two parts of similar size; `labels`: class numbers; and `images.npz`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(5)
    weights = {
        "w": draw.normal(size=(12, 3, 3, 3)) * 0.3,
        "wb": draw.normal(size=(4, 12, 1, 1)) * 0.6,
        "ws": draw.normal(size=(SCORES, 12, 1, 1)) * 0.6,
        "pixels": np.array(640.0),
    }
    held = [numpy_helper.from_array(array.astype("float32"), name) for name, array in weights.items()]
    held.append(numpy_helper.from_array(np.array([1, 4 + SCORES, 64]), "rows"))
    node = helper.make_node
    body = [
        node("Conv", ["x", "w"], ["c"], name="body", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "wb"], ["hb"], name="boxes"),
        node("Conv", ["r", "ws"], ["hs"], name="scoring"),
    ]
    ends = [node("Concat", ["left", "scores"], ["both"], axis=1), node("Reshape", ["both", "rows"], ["y"])]
    sigmoid = node("Sigmoid", ["hs"], ["scores"])
    head = [node("Sigmoid", ["hb"], ["b"]), node("Mul", ["b", "pixels"], ["left"]), sigmoid, *ends]
    alike = [node("Tanh", ["hb"], ["left"]), sigmoid, *ends]
    labels = [node("ArgMax", ["hs"], ["y"], axis=1, keepdims=0)]
    rows = (TensorProto.FLOAT, [1, 4 + SCORES, 64])
    for name, tail, (kind, shape) in (
        ("head", head, rows),
        ("even", alike, rows),
        ("labels", labels, (TensorProto.INT64, [1, 8, 8])),
    ):
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])
        graph = helper.make_graph(
            [*body, *tail], name, [given], [helper.make_tensor_value_info("y", kind, shape)], held
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, str(folder / f"{name}.onnx"))
    np.savez(folder / "images.npz", x=draw.random((48, 3, 16, 16), dtype=np.float32))


def write_keras(folder: Path) -> None:
    """`head` and `even` as above; `offset`: small changes of a large number; `classes`: a Softmax. And `moves.tflite`."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(7)
    wide = keras.initializers.RandomNormal(0, 0.7)
    image = layers.Input((16, 16, 3), batch_size=1, name="image")
    body = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu")(image)
    boxes = layers.Conv2D(4, 1, activation="sigmoid", kernel_initializer=wide)(body)
    scores = layers.Conv2D(SCORES, 1, activation="sigmoid", kernel_initializer=wide)(body)
    rows = [layers.Reshape((64, 4))(boxes), layers.Reshape((64, SCORES))(scores)]
    pixels = layers.Rescaling(640.0)(rows[0])
    keras.Model(image, layers.Concatenate(name="pred")([pixels, rows[1]])).save(folder / "head.keras")
    keras.Model(image, layers.Concatenate(name="pred")(rows)).save(folder / "even.keras")
    classes = layers.Dense(5, activation="softmax", kernel_initializer=wide)(layers.Flatten()(body))
    keras.Model(image, classes).save(folder / "classes.keras")

    sensors = layers.Input((10,), batch_size=1, name="sensors")
    hidden = layers.Dense(16, activation="relu")(sensors)
    level = keras.initializers.Constant(1013.0)
    offset = layers.Dense(1, bias_initializer=level, name="hpa")(hidden)
    keras.Model(sensors, offset).save(folder / "offset.keras")
    draw = np.random.default_rng(8)
    np.savez(folder / "images.npz", image=draw.random((48, 16, 16, 3), dtype=np.float32))
    np.savez(folder / "sensors.npz", sensors=draw.normal(size=(48, 10)).astype("float32"))
    (folder / "moves.tflite").write_bytes(_moves())


def _moves() -> Any:
    """Three inputs of (2, 3), moved by every operator of LiteRT that moves values."""
    import tensorflow as tf

    given = [tf.TensorSpec((2, 3), name=name) for name in ("a", "b", "c")]

    def call(a, b, c):
        joined = tf.concat([a, tf.transpose(tf.reshape(b, (3, 2)))], 1)
        stacked = tf.stack([joined, tf.concat([c, a], 1)], 1)
        cut = tf.slice(stacked, (0, 0, 1), (2, 2, 4))
        picked = tf.concat([cut[:, 0, ::-1], cut[:, 1], tf.expand_dims(c[:, -1], 1)], 1)
        return tf.transpose(tf.reshape(picked, (3, 3, 2)), (2, 0, 1))

    function = tf.function(call, input_signature=given).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


if __name__ == "__main__":
    import masked_models

    write_keras(Path(sys.argv[1]))
    masked_models.write_keras(Path(sys.argv[1]))
