"""MLPerf Tiny's keyword net as a Keras file: `python -m compression_bench.keywords_net SAVED_MODEL FOLDER` writes `net.keras`.

A SavedModel cannot be trained further, so the net is built here and takes the weights.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers

_ORDER = (
    ("kernel", "bias"),
    ("depthwise_kernel", "bias"),
    ("gamma", "beta", "moving_mean", "moving_variance"),
)  # of the weights in a layer


def built() -> keras.Model:
    """DS-CNN: a convolution and four depthwise separable blocks; 12 classes."""

    def normal(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(x))

    x = given = keras.Input((49, 10, 1), name="x")
    x = normal(layers.Conv2D(64, (10, 4), 2, padding="same")(x))
    for _ in range(4):
        x = normal(layers.DepthwiseConv2D(3, padding="same")(x))
        x = normal(layers.Conv2D(64, 1, padding="same")(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(12, activation="softmax", name="word")(x))


def main(saved: Path, folder: Path) -> None:
    """Writes the file."""
    read = tf.train.load_checkpoint(str(saved / "variables" / "variables"))
    shapes = read.get_variable_to_shape_map()
    net = built()
    for number, layer in enumerate(one for one in net.layers if one.weights):
        prefix = f"layer_with_weights-{number}/"
        names = {name.removeprefix(prefix).partition("/")[0] for name in shapes if name.startswith(prefix)}
        order = next(one for one in _ORDER if names == set(one))
        layer.set_weights([read.get_tensor(f"{prefix}{name}/.ATTRIBUTES/VARIABLE_VALUE") for name in order])
    net.save(folder / "net.keras")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
