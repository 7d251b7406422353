"""Keras nets of the benchmark: `python -m compression_bench.keras_nets NET SEED EPOCHS TRAIN.npz FOLDER` trains one and writes `net.keras`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

BATCH, RATE = 64, 3e-3


def _unit(x: Any, filters: int, kernel: int = 3, stride: int = 1, *, relu: bool = True) -> Any:
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x) if relu else x


def residual(given: Any) -> Any:
    """A stem and two residual blocks, the second of which halves the picture: 20,000 parameters."""
    x = _unit(given, 16, stride=2)
    x = layers.ReLU()(layers.Add()([x, _unit(_unit(x, 16), 16, relu=False)]))
    short = _unit(x, 32, 1, 2, relu=False)
    return layers.ReLU()(layers.Add()([short, _unit(_unit(x, 32, stride=2), 32, relu=False)]))


def depthwise(given: Any) -> Any:
    """A stem and three depthwise separable blocks: 19,000 parameters."""
    x = _unit(given, 24, stride=2)
    for filters, stride in ((48, 1), (96, 2), (96, 1)):
        x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
        x = _unit(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x)), filters, 1)
    return x


BODIES = {"residual": residual, "depthwise": depthwise}


def main(name: str, seed: int, epochs: int, data: Path, folder: Path) -> None:
    """Trains a net. It ends in logits."""
    with np.load(data) as found:
        x, labels = found["x"], found["labels"]
    keras.utils.set_random_seed(seed)
    given = keras.Input(x.shape[1:], name="x")
    body = layers.GlobalAveragePooling2D()(BODIES[name](given))
    net = keras.Model(given, layers.Dense(10, name="digit")(body))
    falling = keras.optimizers.schedules.CosineDecay(RATE, epochs * -(-len(x) // BATCH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(falling), loss)
    net.fit(x, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    net.save(folder / "net.keras")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]))
