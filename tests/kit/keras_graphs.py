"""Functional Keras models: one with most of what ties channels, and random ones of many forms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import layers

ACTIVATIONS = ("linear", "relu", "sigmoid", "softplus", "tanh", "silu")


def residual() -> Any:
    """Two convolutions that are added, then a depthwise one with two outputs a channel, then a dense layer on all places."""
    end = keras.Input((6, 6, 3), name="picture")
    first = layers.Conv2D(8, 3, padding="same", name="first")(end)
    second = layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, padding="same", name="second")(first))
    x = layers.Activation("sigmoid")(layers.Add(name="sum")([first, second]))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.Conv2D(6, 1, name="third")(layers.MaxPooling2D()(x))
    x = layers.Dense(10, name="hidden", activation="relu")(layers.Flatten()(x))
    model = keras.Model(end, layers.Dense(3, name="scores", activation="softmax")(x))
    randomise(model, np.random.default_rng(0))
    return model


@lru_cache(maxsize=1)
def runs_channels_first() -> bool:
    """Whether TensorFlow has that layout on this CPU: its kernels for it are only used where the CPU has VNNI or the like."""
    import tensorflow as tf

    try:
        tf.nn.conv2d(tf.zeros((1, 1, 2, 2)), tf.zeros((1, 1, 1, 1)), 1, "SAME", data_format="NCHW")
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
        return False
    return True


class RandomGraph:
    """Draws a model from a seed. Tensors that are (batch, height, width, channels) are kept for later use."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: list[Any] = []
        self.format = (
            "channels_first" if self.rng.random() < 0.1 and runs_channels_first() else "channels_last"
        )
        self.axis = 1 if self.format == "channels_first" else -1

    def model(self) -> Any:
        """The model, with random weights everywhere."""
        ends = [keras.Input((3, 8, 8) if self.axis == 1 else (8, 8, 3), name="picture")]
        if self.chance(0.3):
            ends.append(keras.Input((2, 8, 8) if self.axis == 1 else (8, 8, 2), name="second"))
        self.tensors = list(ends)
        for end in ends:
            self.tensors.append(self.convolution(end))
        for _ in range(self.rng.integers(3, 10)):
            self.step()
        unused = [one for one in self.tensors if one not in ends][-2:]
        outputs = [self.head(one) for one in (unused if self.chance(0.4) else unused[-1:])]
        used = keras.Model(self.structure(ends), outputs[0] if len(outputs) == 1 else outputs)
        randomise(used, self.rng)
        return used

    def structure(self, ends: list[Any]) -> Any:
        if len(ends) == 1:
            return ends[0]
        return {one.name: one for one in ends} if self.chance(0.5) else ends

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def step(self) -> None:
        """Adds one tensor, from a random form."""
        forms = [
            self.convolution, self.convolution, self.normalised, self.depthwise, self.separable, self.residual, self.residual, self.joined,
            self.excited, self.attended, self.pooled, self.enlarged, self.activated, self.operated, self.odd, self.moved, self.doubled,
        ]  # fmt: skip
        self.tensors.append(self.pick(forms)(self.pick(self.tensors[-4:])))

    def filters(self) -> int:
        return int(self.pick((1, 2, 4, 6)))

    def channels(self, x: Any) -> int:
        return int(x.shape[self.axis])

    def convolution(self, x: Any, filters: int = 0) -> Any:
        small = min(size for size in x.shape[1:]) < 2
        return layers.Conv2D(
            filters or self.filters(), 1 if small else self.pick((1, 3)), padding="same", activation=self.pick(ACTIVATIONS),
            strides=1 if filters else self.pick((1, 1, 1, 2)), use_bias=self.chance(0.7), data_format=self.format,
        )(x)  # fmt: skip

    def normalised(self, x: Any) -> Any:
        return layers.BatchNormalization(axis=self.axis, scale=self.chance(0.8), center=self.chance(0.8))(x)

    def depthwise(self, x: Any) -> Any:
        return layers.DepthwiseConv2D(
            3, padding="same", depth_multiplier=self.pick((1, 1, 2)), data_format=self.format, activation=self.pick(ACTIVATIONS)
        )(x)  # fmt: skip

    def separable(self, x: Any) -> Any:
        """Keras adds the bias along the wrong axis with channels first, if that has as many places as there are filters."""
        return layers.SeparableConv2D(
            self.filters(), 3, padding="same", depth_multiplier=self.pick((1, 2)), data_format=self.format, use_bias=self.axis == -1
        )(x)  # fmt: skip

    def residual(self, x: Any) -> Any:
        same_shape = [one for one in self.tensors if one.shape == x.shape and one is not x]
        other = (
            self.pick(same_shape)
            if same_shape and self.chance(0.7)
            else self.convolution(x, self.channels(x))
        )
        kind = self.pick((layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Subtract, None))
        return x + other if kind is None else kind()([x, other])

    def joined(self, x: Any) -> Any:
        spatial = slice(2, None) if self.axis == 1 else slice(1, -1)
        same_size = [one for one in self.tensors if one.shape[spatial] == x.shape[spatial]]
        if self.chance(0.2):  # along another axis
            same = [one for one in self.tensors if one.shape == x.shape]
            return layers.Concatenate(axis=2)([x, self.pick(same)])
        return layers.Concatenate(axis=self.axis)([x, self.pick(same_size)])

    def excited(self, x: Any) -> Any:
        """A block of squeeze and excitation."""
        count = self.channels(x)
        keep = self.chance(0.5) and self.axis == -1
        y = layers.GlobalAveragePooling2D(keepdims=keep, data_format=self.format)(x)
        y = layers.Dense(self.filters(), activation="relu")(y)
        y = layers.Dense(count, activation="sigmoid")(y)
        if not keep:
            y = layers.Reshape((count, 1, 1) if self.axis == 1 else (1, 1, count))(y)
        return layers.Multiply()([x, y])

    def attended(self, x: Any) -> Any:
        """Each place times a number."""
        return layers.Multiply()([x, self.convolution(x, 1)])

    def pooled(self, x: Any) -> Any:
        if min(x.shape[1:]) < 2:
            return layers.Dropout(0.3)(x)
        kind = self.pick((layers.MaxPooling2D, layers.AveragePooling2D))
        return kind(2, strides=self.pick((1, 2)), padding="same", data_format=self.format)(x)

    def enlarged(self, x: Any) -> Any:
        if max(x.shape[1:]) > 8:
            return layers.Cropping2D(1, data_format=self.format)(x) if min(x.shape[1:]) > 2 else x
        kind = self.pick(("up", "pad", "transposed"))
        if kind == "up":
            return layers.UpSampling2D(2, data_format=self.format)(x)
        if kind == "pad":
            return layers.ZeroPadding2D(1, data_format=self.format)(x)
        return layers.Conv2DTranspose(self.filters(), 3, strides=2, padding="same", data_format=self.format)(
            x
        )

    def activated(self, x: Any) -> Any:
        shared = (2, 3) if self.axis == 1 else (1, 2)
        return self.pick(
            (
                lambda: layers.Activation(self.pick(ACTIVATIONS))(x),
                lambda: layers.ReLU(6.0)(x),
                lambda: layers.LeakyReLU()(x),
                lambda: layers.PReLU(shared_axes=shared)(x),
                lambda: layers.PReLU()(x),
                lambda: layers.SpatialDropout2D(0.2, data_format=self.format)(x),
                lambda: layers.Rescaling(0.5, 0.1)(x),
            )
        )()

    def operated(self, x: Any) -> Any:
        return self.pick(
            (
                lambda: layers.ReLU(6.0)(x + 3.0) * (1 / 6),
                lambda: keras.ops.relu(x),
                lambda: 1.0 - x,
                lambda: x * np.arange(1, x.shape[-1] + 1, dtype="float32"),
                lambda: keras.ops.maximum(x, keras.ops.tanh(x)),
            )
        )()

    def odd(self, x: Any) -> Any:
        """What locks channels."""
        count = self.channels(x)
        return self.pick(
            (
                lambda: layers.LayerNormalization()(x),
                lambda: layers.Softmax()(x),
                lambda: (
                    layers.Conv2D(2 * count, 1, groups=count, data_format=self.format)(x)
                    if self.axis == -1
                    else x
                ),
                lambda: layers.Dense(self.filters(), activation="relu")(x),
                lambda: layers.Conv2D(3, 1, activation="softmax")(x),
            )
        )()

    def moved(self, x: Any) -> Any:
        """Reshapes and permutations."""
        first, second, third = x.shape[1:]
        return self.pick(
            (
                lambda: layers.Permute((2, 1, 3))(x),
                lambda: layers.Permute((2, 3, 1))(layers.Permute((3, 1, 2))(x)),
                lambda: layers.Reshape((first, second, third))(layers.Reshape((first * second, third))(x)),
                lambda: layers.Reshape((first, second, third))(layers.Reshape((first, -1))(x)),
                lambda: layers.Reshape((third, second, first))(x),
            )
        )()

    def doubled(self, x: Any) -> Any:
        """A layer, or a nested model, that may be used twice."""
        count = self.channels(x)
        if self.chance(0.5):
            end = keras.Input(x.shape[1:])
            inner = layers.Conv2D(self.filters(), 1, data_format=self.format, activation="relu")(end)
            inner = layers.BatchNormalization(axis=self.axis)(inner)
            layer: Any = keras.Model(end, layers.Conv2D(count, 1, data_format=self.format)(inner))
        else:
            layer = layers.Conv2D(count, 3, padding="same", data_format=self.format)
        once = layer(x)
        return layers.Add()([once, layer(once)]) if self.chance(0.5) else once

    def head(self, x: Any) -> Any:
        kind = self.pick(("flatten", "pool", "convolution"))
        if kind == "convolution":
            return self.convolution(x, 3)
        if kind == "pool":
            x = layers.GlobalMaxPooling2D(data_format=self.format)(x)
        else:
            x = layers.Flatten(data_format=self.pick(("channels_last", "channels_first")))(x)
        return layers.Dense(3, activation=self.pick((None, "softmax")))(layers.Dense(5, activation="relu")(x))


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Random weights, also of biases and normalisations."""
    for variable in model.weights:
        values = rng.normal(0, 0.4, variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            values = 0.5 + rng.random(variable.shape)
        if "int" not in str(variable.dtype):
            variable.assign(values)
