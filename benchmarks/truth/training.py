"""Small models of several kinds: `python -m truth.training NAME FOLDER` trains one and writes its data to the same folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7
SIZE = 32  # of a picture with a digit on it
_POOL = 256


def lstm(folder: Path, layers: Any, keras: Any) -> Any:
    """Digits row by row."""
    x = given = keras.Input((8, 8), name="rows")
    x = layers.LSTM(32)(x)
    model = keras.Model(given, layers.Dense(10, name="digit")(x))
    _digits(folder, model, keras, epochs=12)
    return model


def attention(folder: Path, layers: Any, keras: Any) -> Any:
    """Digits row by row, by one block of a transformer."""
    given = keras.Input((8, 8), name="rows")
    places = keras.initializers.RandomNormal(0, 0.1, seed=SEED)
    x = layers.Dense(32)(given)
    x = x + layers.Embedding(8, 32, embeddings_initializer=places)(np.arange(8)[None])
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, activation="gelu")(x)))
    model = keras.Model(given, layers.Dense(10, name="digit")(layers.GlobalAveragePooling1D()(x)))
    _digits(folder, model, keras, epochs=12)
    return model


def segments(folder: Path, layers: Any, keras: Any) -> Any:
    """Which digit is at each pixel of a picture; 10 where there is none."""
    from digits_models import load

    random = np.random.default_rng(SEED)
    images, held, labels, held_labels = load()
    pictures, maps = _placed(np.concatenate([images] * 2), np.concatenate([labels] * 2), random)
    given = keras.Input((SIZE, SIZE, 3), name="picture")
    x = one = layers.Conv2D(16, 3, padding="same", activation="relu")(given)
    x = two = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.UpSampling2D(2)(x), two])
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.UpSampling2D(2)(x), one])
    model = keras.Model(given, layers.Conv2D(11, 3, padding="same", name="map")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(pictures, maps, batch_size=32, epochs=5, verbose=0)
    _write(folder, pictures, _placed(held, held_labels, random)[0])
    return model


def pressure(folder: Path, layers: Any, keras: Any) -> Any:
    """A regressor with a large mean and a small signal: 1013 +- 2 hPa, from ten sensors."""
    random = np.random.default_rng(SEED)
    x, w = random.normal(size=(1500, 10)).astype(np.float32), random.normal(size=10)
    y = (1013 + 3 * np.tanh(x @ w / 3)).astype(np.float32)
    sensors = keras.Input((10,), name="sensors")
    z = layers.Dense(16, activation="relu")(layers.Dense(24, activation="relu")(sensors))
    last = layers.Dense(1, bias_initializer=keras.initializers.Constant(1013), name="hpa")
    model = keras.Model(sensors, last(z))
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(x[:1000], y[:1000], epochs=40, verbose=0)
    _write(folder, x[:1000], x[1000:])
    return model


MODELS = {"digits-lstm": lstm, "digits-attention": attention, "segments": segments, "pressure": pressure}


def _digits(folder: Path, model: Any, keras: Any, epochs: int) -> None:
    from digits_models import load

    images, held, labels, held_labels = load()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    _write(folder, images, held, held_labels)


def _placed(images: Any, labels: Any, random: np.random.Generator) -> tuple[Any, Any]:
    """Digits, twice as large, on coloured pictures with noise, (n, SIZE, SIZE, 3); the map of each."""
    count = len(images)
    pictures = random.uniform(0, 0.4, (count, 1, 1, 3)) + random.normal(0, 0.05, (count, SIZE, SIZE, 3))
    maps = np.full((count, SIZE, SIZE), 10)
    for picture, place, image, label in zip(pictures, maps, images, labels, strict=True):
        large = np.kron(image, np.ones((2, 2)))
        left, top = random.integers(0, SIZE - 16, 2)
        picture[top : top + 16, left : left + 16] += large[..., None] * random.uniform(0.5, 1, 3)
        place[top : top + 16, left : left + 16][large > 0.3] = label
    return pictures.astype(np.float32), maps


def _write(folder: Path, pool: Any, held: Any, labels: Any = None) -> None:
    chosen = np.random.default_rng(SEED).permutation(len(pool))[:_POOL]
    np.savez(folder / "calibration.npz", input_0=pool[chosen][:, None])
    more = {} if labels is None else {"labels": labels}
    np.savez(folder / "evaluation.npz", input_0=held[:, None], **more)


def main() -> None:
    """Trains one."""
    import keras

    name, folder = sys.argv[1], Path(sys.argv[2])
    keras.utils.set_random_seed(SEED)
    MODELS[name](folder, keras.layers, keras).save(folder / f"{name}.keras")


if __name__ == "__main__":
    main()
