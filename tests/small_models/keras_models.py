"""Small seeded Keras models; `keras` is Keras 3 or tf-keras. All weights are drawn here, so both have the same."""

import math


def cnn(keras):
    """(?, 16, 16, 3) -> 5 classes: convolution, depthwise convolution and BatchNorm with uneven statistics."""
    layers = keras.layers
    image = layers.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", strides=2, use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(8, 1)(x)])
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    return seeded(keras.Model(image, layers.Dense(5, activation="softmax", name="classes")(x)), 1)


def two_in_two_out(keras):
    """right, left of (?, 4) -> total, gap of 3: one shape and no alphabetical order, so a mix-up is seen."""
    layers = keras.layers
    right, left = layers.Input((4,), name="right"), layers.Input((4,), name="left")
    both = layers.Dense(8, activation="relu")(layers.Concatenate()([right, left]))
    total = layers.Dense(3, name="total")(layers.Concatenate()([both, right]))
    gap = layers.Dense(3, name="gap")(layers.Concatenate()([left, both]))
    return seeded(keras.Model([right, left], [total, gap]), 2)


def tokens(keras):
    """(?, 12) token ids below 16, int32 -> 4."""
    layers = keras.layers
    ids = layers.Input((12,), dtype="int32", name="tokens")
    x = layers.Embedding(16, 6)(ids)
    x = layers.Flatten()(x)
    return seeded(keras.Model(ids, layers.Dense(4, name="scores")(x)), 3)


def lstm(keras):
    """(?, 10, 6) -> LSTM of 8 -> 4."""
    layers = keras.layers
    series = layers.Input((10, 6), name="series")
    return seeded(keras.Model(series, layers.Dense(4, name="scores")(layers.LSTM(8)(series))), 4)


def gru(keras):
    """(?, 10, 6) -> GRU of 8 -> 4."""
    layers = keras.layers
    series = layers.Input((10, 6), name="series")
    return seeded(keras.Model(series, layers.Dense(4, name="scores")(layers.GRU(8)(series))), 5)


def attention(keras):
    """(?, 8, 16) -> self-attention of two heads, layer normalisation -> 4."""
    layers = keras.layers
    series = layers.Input((8, 16), name="series")
    x = layers.MultiHeadAttention(2, 8)(series, series)
    x = layers.LayerNormalization()(layers.Add()([series, x]))
    x = layers.Dense(16, activation="gelu")(x)
    return seeded(keras.Model(series, layers.Dense(4, name="scores")(layers.GlobalAveragePooling1D()(x))), 6)


def dynamic(keras):
    """(?, ?, ?, 3): height and width are open."""
    layers = keras.layers
    image = layers.Input((None, None, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(image))
    return seeded(keras.Model(image, layers.Dense(4, name="scores")(x)), 7)


MODELS = {made.__name__: made for made in (cnn, two_in_two_out, tokens, lstm, gru, attention, dynamic)}


def seeded(model, seed):
    """The model with weights drawn from `seed`, and BatchNorm statistics that matter."""
    import numpy as np

    generator = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([_drawn(generator, weight.shape) for weight in layer.get_weights()])
        if type(layer).__name__ in ("BatchNormalization", "LayerNormalization"):
            weights = layer.get_weights()
            layer.set_weights([1.0 + weights[0], weights[1], *[0.7 + np.abs(w) for w in weights[2:]]])
    return model


def _drawn(generator, shape):
    """Kernels keep the variance of what they are given; vectors are small."""
    depthwise = len(shape) == 4 and shape[-1] == 1
    fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
    scale = 1.4 / math.sqrt(fan_in) if len(shape) > 1 else 0.2
    return (generator.normal(size=shape) * scale).astype("float32")


def make(folder):
    """Writes `<name>.keras`, `<name>.h5`, `<name>_saved/` and, float and static, `<name>.tflite`."""
    import keras

    for name, function in MODELS.items():
        model = function(keras)
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        model.export(folder / f"{name}_saved", verbose=False)
        if name != "dynamic":
            (folder / f"{name}.tflite").write_bytes(tflite(model))


def tflite(model):
    """The model's bytes for LiteRT, batch 1."""
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *item.shape[1:]), item.dtype, name=item.name) for item in model.inputs]

    def call(*tensors):
        answers = model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)
        return tf.nest.flatten(answers)

    function = tf.function(call, input_signature=signature).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
