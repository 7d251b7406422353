"""Small models as Keras 2 wrote them, by tf-keras: those of `keras_models`, and one that Keras 3 refuses."""

import keras_models


def mobile(keras):
    """(?, 32, 32, 3) -> 5: MobileNetV2's blocks. Its file says `DepthwiseConv2D(groups=1)`, as Keras 2's do."""
    layers = keras.layers
    image = layers.Input((32, 32, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for stride, wide in ((1, 8), (2, 12), (1, 12)):
        y = layers.Conv2D(24, 1, use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(wide, 1, use_bias=False)(y))
        x = layers.Add()([x, y]) if stride == 1 and x.shape[-1] == wide else y
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    classes = layers.Dense(5, activation="softmax", name="classes")(x)
    return keras_models.seeded(keras.Model(image, classes), 8)


MODELS = {**keras_models.MODELS, "mobile": mobile}


def make(folder):
    """Writes `<name>.h5` and, as Keras 2's SavedModel, `<name>_saved/`."""
    import tf_keras

    for name, function in MODELS.items():
        model = function(tf_keras)
        model.save(folder / f"{name}.h5")
        model.save(folder / f"{name}_saved")
