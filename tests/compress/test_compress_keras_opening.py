"""Which Keras files compression opens, and as what."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress.keras.network import open_network
from edgewright.errors import Code, ModelError
from edgewright.nouns.compression import ChannelPruning, Training

PICTURES = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("float32")


def saved(model: Any, folder: Path, name: str = "model.keras") -> Path:
    """The file of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the old format, and a model without inputs
        model.save(folder / name)
    return folder / name


def test_a_model_inside_another_is_opened_as_one(tmp_path: Path) -> None:
    """Names that both have are made unique; a part that the author froze stays so."""
    import keras
    from keras import layers

    end = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(6, 3, name="conv")(end))
    base = keras.Model(end, layers.ReLU()(x), name="base")
    base.trainable = False
    outer = keras.Input((8, 8, 3), name="picture")
    x = base(outer)
    x = keras.Sequential([layers.Conv2D(4, 3, name="conv"), layers.GlobalAveragePooling2D()], name="top")(x)
    model = keras.Model(outer, layers.Dense(2, name="scores")(x), name="whole")
    network = open_network(saved(model, tmp_path))
    assert [layer.name for layer in network.layers()] == ["conv", "conv_1", "scores"]
    assert np.allclose(network.predict([PICTURES])[0], model.predict(PICTURES, verbose=0), atol=1e-5)
    report = network.prune_channels(ChannelPruning(share=0.5), {})
    assert [(one.layer, one.after) for one in report.layers] == [("conv", 3), ("conv_1", 2)]
    norm = next(layer for layer in network._model.layers if layer.name == "norm")
    before, kernel = norm.moving_mean.numpy(), network.weight("conv")
    network.train([PICTURES], np.zeros(5, int), Training(loss="cross_entropy"), 0)
    assert np.array_equal(norm.moving_mean.numpy(), before) and np.array_equal(network.weight("conv"), kernel)


def test_a_sequential_model_with_a_fixed_batch_is_opened(tmp_path: Path) -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input(batch_shape=(1, 8, 8, 3), name="picture"),
            layers.Conv2D(4, 3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    network = open_network(saved(model, tmp_path))
    assert [(spec.name, spec.shape) for spec in network.inputs] == [("picture", (1, 8, 8, 3))]
    one = np.asarray(model(PICTURES[:1]))
    assert np.allclose(network.predict([PICTURES])[0][:1], one, atol=1e-5)


def test_what_keras_2_wrote_is_opened_if_keras_3_computes_the_same(tmp_path: Path) -> None:
    """Keras 3 refuses a depthwise layer with the setting `groups`."""
    import tf_keras

    model = tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 3)),
            tf_keras.layers.Conv2D(8, 3),
            tf_keras.layers.DepthwiseConv2D(3),
            tf_keras.layers.BatchNormalization(),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(2),
        ]
    )
    network = open_network(saved(model, tmp_path, "old.h5"))
    assert np.allclose(network.predict([PICTURES])[0], model.predict(PICTURES, verbose=0), atol=1e-5)
    network.prune_channels(ChannelPruning(share=0.5), {})
    network.save(tmp_path / "new.keras")
    assert open_network(tmp_path / "new.keras").parameters() == network.parameters() < model.count_params()


def test_a_model_without_inputs_or_of_open_size_is_refused(tmp_path: Path) -> None:
    import keras
    from keras import layers

    with pytest.raises(ModelError, match="not made of layers between inputs and outputs") as caught:
        open_network(saved(keras.Sequential([layers.Dense(2)]), tmp_path))
    assert "keras.Input" in caught.value.hint
    end = keras.Input((None, None, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(end))
    with pytest.raises(ModelError) as caught:
        open_network(saved(keras.Model(end, pooled), tmp_path))
    assert caught.value.code == Code.DYNAMIC_SHAPE
