"""Quantised `.tflite` files like those of public collections: bytes in, bytes out, one scale per tensor. Seeded.

`python uint8_models.py FOLDER` makes `classifier` (1,000 classes, softmax), `heatmap` (17 maps, sigmoid) and `pictures.npz`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 64


def pictures(count: int) -> Iterator[np.ndarray]:
    """Coarse patches with some noise, (1, 64, 64, 3), 0 to 1."""
    draw = np.random.default_rng(3)
    for _ in range(count):
        patches = np.kron(draw.random((1, 8, 8, 3)), np.ones((1, SIZE // 8, SIZE // 8, 1)))
        yield np.clip(patches + draw.normal(0, 0.05, patches.shape), 0, 1).astype(np.float32)


def write(folder: Path) -> None:
    """Builds, quantises and writes them."""
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    body = layers.Conv2D(16, 3, 2, padding="same", activation="relu6", kernel_initializer="he_normal")(image)
    for width in (32, 64, 128):
        deep = layers.DepthwiseConv2D(
            3, 2, padding="same", activation="relu6", depthwise_initializer="he_normal"
        )
        body = layers.Conv2D(width, 1, activation="relu6", kernel_initializer="he_normal")(deep(body))
    flat = layers.Flatten()(layers.AveragePooling2D(2)(body))
    _convert(folder / "classifier.tflite", image, flat, layers.Dense(1000), layers.Softmax(), 6.0, 0.0)
    _convert(
        folder / "heatmap.tflite", image, body, layers.Conv2D(17, 1), layers.Activation("sigmoid"), 2.0, -4.0
    )
    np.savez(folder / "pictures.npz", x=np.round(np.concatenate(list(pictures(128))) * 255).astype(np.uint8))


def _convert(file: Path, image: Any, features: Any, last: Any, end: Any, gain: float, offset: float) -> None:
    """Sets the last layer so that its outputs before `end` vary over the pictures by `gain` around `offset`."""
    import keras
    import tensorflow as tf

    model = keras.Model(image, end(last(features)))
    seen = keras.Model(image, features)
    values = np.concatenate([np.asarray(seen(one)).reshape(-1, features.shape[-1]) for one in pictures(64)])
    mean = values.mean(axis=0)
    weights = np.random.default_rng(4).normal(size=(len(mean), last.weights[0].shape[-1]))
    weights *= gain / ((values - mean) @ weights).std()
    last.set_weights([weights.reshape(last.weights[0].shape), offset - mean @ weights])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one] for one in pictures(50))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    converter._experimental_disable_per_channel = True
    file.write_bytes(converter.convert())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
