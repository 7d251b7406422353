"""Trains the digit classifiers of this example, and writes the data that goes with them.

    python train_digits.py [FOLDER]

Data: scikit-learn's `load_digits`, 1797 grey images of 8x8 pixels, scaled to 0..1. 450 of them are held out.
Writes to FOLDER (by default this one):

    digits-v1.keras     a small convolutional network, good
    digits-v2.keras     v1 fine-tuned on labels in which two classes were swapped: sound, but often wrong
    digits-v4.keras     v1 fine-tuned further on the right labels: as good as v1 or better, other weights
    calibration.npz     x: 128 training images
    evaluation.npz      x, labels: the 450 held-out images and their digits
    sample.npz          x: one held-out image

The same seed gives the same weights on the same machine and the same TensorFlow.
"""

import sys
from pathlib import Path

SEED = 7
HELD_OUT = 450
CALIBRATION = 128
SWAPPED = (4, 9)  # the classes whose labels v2 is taught the wrong way round


def load():
    """Training and held-out images, float32 of shape (n, 8, 8, 1) in 0..1, and their labels, int64."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., None]
    labels = digits.target.astype("int64")
    return train_test_split(images, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels)


def build():
    """An untrained network: two convolutions, one hidden layer, ten classes; about 18,000 weights."""
    import keras

    x = keras.Input(shape=(8, 8, 1), name="x")
    y = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    y = keras.layers.Conv2D(32, 3, padding="same", activation="relu")(y)
    y = keras.layers.MaxPooling2D(2)(y)
    y = keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(y)
    y = keras.layers.Flatten()(y)
    y = keras.layers.Dense(32, activation="relu")(y)
    y = keras.layers.Dense(10, activation="softmax", name="digit")(y)
    return keras.Model(x, y, name="digits")


def train(start, images, labels, *, epochs, rate):
    """A copy of the model `start`, trained; not compiled, so that its file holds no optimiser state."""
    import keras

    model = build()
    model.set_weights(start.get_weights())
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=32, epochs=epochs, verbose=0)
    trained = build()
    trained.set_weights(model.get_weights())
    return trained


def swap(labels):
    """The labels with the two classes of `SWAPPED` exchanged."""
    first, second = SWAPPED
    wrong = labels.copy()
    wrong[labels == first] = second
    wrong[labels == second] = first
    return wrong


def accuracy(model, images, labels):
    """Share of images whose most likely class is their label."""
    return float((model.predict(images, verbose=0).argmax(axis=1) == labels).mean())


def main(folder):
    """Trains the three models, prints their held-out accuracy, writes all files to `folder`."""
    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    images, held_out, labels, answers = load()
    first = train(build(), images, labels, epochs=15, rate=2e-3)
    models = {
        "digits-v1": first,
        "digits-v2": train(first, images, swap(labels), epochs=8, rate=1e-3),
        "digits-v4": train(first, images, labels, epochs=15, rate=1e-3),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
        print(f"{name}: {accuracy(model, held_out, answers):.4f} on {HELD_OUT} held-out images")
    np.savez_compressed(folder / "calibration.npz", x=images[:CALIBRATION])
    np.savez_compressed(folder / "evaluation.npz", x=held_out, labels=answers)
    np.savez_compressed(folder / "sample.npz", x=held_out[:1])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
