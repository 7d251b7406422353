"""An attention block and an LSTM with seeded random weights: `python sequence_nets.py attention|lstm FILE.keras`."""

from __future__ import annotations

import sys
from typing import Any

from mobilenet import SEED, check

STEPS, WIDTH, HEADS, CLASSES = 64, 128, 4, 12
FRAMES, COEFFICIENTS, CELLS = 49, 10, 64  # those of keyword spotting


def attention() -> Any:
    """An encoder block, input (None, 64, 128), output (None, 12)."""
    import keras

    layers = keras.layers
    tokens = keras.Input((STEPS, WIDTH))
    heads = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(tokens, tokens)
    joined = layers.LayerNormalization()(layers.Add()([tokens, heads]))
    wide = layers.Dense(2 * WIDTH, activation="relu")(joined)
    block = layers.LayerNormalization()(layers.Add()([joined, layers.Dense(WIDTH)(wide)]))
    return keras.Model(tokens, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(block)))


def lstm() -> Any:
    """One recurrent layer, input (None, 49, 10), output (None, 12)."""
    import keras

    frames = keras.Input((FRAMES, COEFFICIENTS))
    return keras.Model(frames, keras.layers.Dense(CLASSES)(keras.layers.LSTM(CELLS)(frames)))


def main(kind: str, path: str) -> None:
    """Writes one of them, once its outputs differ between inputs."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(SEED)
    model = {"attention": attention, "lstm": lstm}[kind]()
    inputs = np.random.default_rng(SEED).normal(size=(2, *model.input_shape[1:]))
    check(np.asarray(model(inputs.astype(np.float32))))
    model.save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
