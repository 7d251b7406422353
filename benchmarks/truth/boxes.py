"""A small detector, trained here: `python boxes.py FOLDER`. Its one output has the box of a digit in pixels and ten scores.

The quantities of such an output differ in size by a factor of hundreds, so that a figure over the whole output hardly shows damage to the scores.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7
SIZE, PIXELS = 20, 640.0
BOX = 4  # values before the scores
_EPOCHS = 12
_COPIES = 4  # of every digit, at different positions
_POOL = 256


def placed(images: Any, random: np.random.Generator) -> tuple[Any, Any]:
    """Digits on empty pictures, (n, SIZE, SIZE, 1); left, top, right and bottom in pixels."""
    corners = random.integers(0, SIZE - 8 + 1, (len(images), 2))
    pictures = np.zeros((len(images), SIZE, SIZE, 1), np.float32)
    for picture, image, (left, top) in zip(pictures, images, corners, strict=True):
        picture[top : top + 8, left : left + 8, 0] = image
    return pictures, np.concatenate([corners, corners + 8], axis=1).astype(np.float32) * PIXELS / SIZE


def main() -> None:
    """Trains it, and writes its data."""
    import keras
    from digits_models import load

    folder, random = Path(sys.argv[1]), np.random.default_rng(SEED)
    images, held, labels, held_labels = load()
    pictures, boxes = placed(np.concatenate([images] * _COPIES), random)
    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    x = given = keras.Input((SIZE, SIZE, 1), name="picture")
    for filters, stride in ((16, 1), (32, 2), (32, 2)):
        x = layers.Conv2D(filters, 3, strides=stride, padding="same", activation="relu")(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    where = layers.Dense(BOX, name="where")(x)
    scores = layers.Dense(10, activation="sigmoid", name="scores")(x)
    trained = keras.Model(given, [where, scores])
    trained.compile(
        keras.optimizers.Adam(2e-3),
        loss=["mse", "binary_crossentropy"],
        loss_weights=[2.0, 2.0],
    )
    wanted = [boxes / PIXELS, np.eye(10)[np.concatenate([labels] * _COPIES)]]
    trained.fit(pictures, wanted, batch_size=64, epochs=_EPOCHS, verbose=0)
    scaled = layers.Rescaling(PIXELS)(where)
    keras.Model(given, layers.Concatenate(name="found")([scaled, scores])).save(folder / "boxes.keras")
    held_pictures, _ = placed(held, random)
    np.savez(folder / "calibration.npz", input_0=pictures[:_POOL, None])
    np.savez(folder / "evaluation.npz", input_0=held_pictures[:, None], labels=held_labels)


if __name__ == "__main__":
    main()
