"""Writes handwritten digits as .npz and a Keras network that knows them: `python digits_net.py FOLDER`.

The digits are scikit-learn's: 1,797 of 8x8 pixels, written by 43 people.
"""

import os
import sys
from pathlib import Path

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

TRAINED, EPOCHS, BATCH = 1300, 25, 64


def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return (found.images[order, ..., None] / 16).astype(np.float32), found.target[order]


def network() -> keras.Model:
    """A residual block, a depthwise convolution and a dense layer behind Flatten."""
    given = keras.Input((8, 8, 1), name="x")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", name="stem")(given)))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(24, 3, padding="same", name="first")(x)))
    x = layers.ReLU()(layers.Add()([x, layers.Conv2D(16, 3, padding="same", name="second")(y)]))
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", name="wise")(x)))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return keras.Model(given, layers.Dense(10, activation="softmax", name="last")(x))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    x, y = digits()
    np.savez(folder / "train.npz", x=x[:TRAINED], labels=y[:TRAINED])
    np.savez(folder / "test.npz", x=x[TRAINED:], labels=y[TRAINED:])
    keras.utils.set_random_seed(0)
    net = network()
    falling = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * TRAINED // BATCH)
    net.compile(keras.optimizers.Adam(falling), "sparse_categorical_crossentropy", metrics=["accuracy"])
    net.fit(x[:TRAINED], y[:TRAINED], epochs=EPOCHS, batch_size=BATCH, verbose=0)
    assert net.evaluate(x[TRAINED:], y[TRAINED:], verbose=0)[1] > 0.95
    net.save(folder / "digits.keras")
