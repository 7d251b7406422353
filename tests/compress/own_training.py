"""Losses, optimisers and schedules as users write them, and some that are wrong."""

import numpy as np


def keras_loss(labels, outputs):
    import tensorflow as tf

    return -tf.math.log(tf.gather(outputs, labels, axis=1, batch_dims=1))


def keras_own_loss(labels, outputs):
    """Keras's own, which reads the logits that the outputs were made of."""
    import keras

    return keras.losses.sparse_categorical_crossentropy(labels, outputs)


def torch_loss(labels, outputs):
    import torch.nn.functional as F  # noqa: N812

    return F.cross_entropy(outputs, labels, reduction="none")


def keras_optimiser(rate):
    import keras

    return keras.optimizers.RMSprop(rate, weight_decay=1e-3)


def torch_optimiser(parameters, rate):
    import torch

    groups = [{"params": parameters[:2], "lr": rate / 4}, {"params": parameters[2:]}]
    return torch.optim.RMSprop(groups, lr=rate, momentum=0.5)


def warm(epoch, epochs):
    return (epoch + 1) / epochs


def keras_twice(rate, made=[]):  # noqa: B006
    import keras

    made.append(keras.optimizers.SGD(rate))
    return made[0]


def keras_scheduled(rate):
    import keras

    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(rate, 10))


def torch_strange(parameters, rate):
    import torch

    class Strange(torch.optim.SGD):
        def step(self):
            super().step()
            self.state[parameters[0]]["seen"] = np.zeros(2)

    return Strange(parameters, rate)


def torch_closure(parameters, rate):
    import torch

    return torch.optim.LBFGS(parameters, rate)


def nothing(*_):
    return None


def broken(*_):
    raise ValueError("no such thing")


def keras_apart(labels, outputs):
    import tensorflow as tf

    return tf.cast(labels, tf.float32)


def torch_apart(labels, outputs):
    return labels.float()


def keras_total(labels, outputs):
    import tensorflow as tf

    return tf.reshape(keras_loss(labels, outputs), [1, -1])[:, :2]


def torch_total(labels, outputs):
    return torch_loss(labels, outputs)[None]


def infinite(labels, outputs):
    return (outputs - outputs).sum() / 0 if hasattr(outputs, "sum") else (outputs - outputs)[:, 0] / 0


def endless(epoch, epochs):
    return np.inf
