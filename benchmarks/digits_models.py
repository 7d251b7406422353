"""Digit classifiers of each framework, trained here: `python digits_models.py keras|torch|onnx FOLDER`.

Writes the model, with calibration.npz (128 training images) and evaluation.npz (450 held-out images with labels) next to it.
The data are scikit-learn's digits, 8x8 grey, 0..1. Seeds are fixed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7
HELD_OUT = 450
CALIBRATION = 128
EPOCHS = 15
FILES = {"keras": "digits.keras", "torch": "digits.pt2", "onnx": "digits.onnx"}


def load() -> tuple[Any, Any, Any, Any]:
    """Training and held-out images, float32 of shape (n, 8, 8) in 0..1, and their labels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")
    found: tuple[Any, Any, Any, Any] = tuple(
        train_test_split(images, digits.target, test_size=HELD_OUT, random_state=SEED, stratify=digits.target)
    )
    return found


def keras(images: Any, labels: Any, file: Path) -> None:
    """Two convolutions with batch normalisation and a dense layer; NHWC."""
    import keras as framework

    framework.utils.set_random_seed(SEED)
    layers = framework.layers
    x = given = framework.Input((8, 8, 1), name="x")
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    model = framework.Model(given, layers.Dense(10, name="digit")(x))
    loss = framework.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(framework.optimizers.Adam(2e-3), loss=loss)
    model.fit(images[..., None], labels, batch_size=32, epochs=EPOCHS, verbose=0)
    model.save(file)


def torch(images: Any, labels: Any, file: Path) -> None:
    """The same network; NCHW, exported with a batch of one."""
    import torch as framework

    framework.manual_seed(SEED)
    n = framework.nn
    blocks: list[Any] = []
    for inner, outer in ((1, 16), (16, 32)):
        blocks += [n.Conv2d(inner, outer, 3, padding=1, bias=False), n.BatchNorm2d(outer), n.ReLU()]
    model = n.Sequential(*blocks, n.MaxPool2d(2), n.Flatten(), n.Linear(32 * 16, 10))
    optimiser = framework.optim.Adam(model.parameters(), 2e-3)
    x, y = framework.tensor(images[:, None]), framework.tensor(labels)
    generator = framework.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        for rows in framework.randperm(len(x), generator=generator).split(32):
            optimiser.zero_grad()
            n.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
    framework.export.save(framework.export.export(model.eval(), (x[:1],)), file)


def onnx(images: Any, labels: Any, file: Path) -> None:
    """scikit-learn's perceptron with two hidden layers, written as Gemm and Relu."""
    from onnx import TensorProto, helper, numpy_helper, save
    from sklearn.neural_network import MLPClassifier

    trained = MLPClassifier((64, 32), max_iter=120, random_state=SEED, tol=1e-3).fit(
        images.reshape(len(images), -1), labels
    )
    nodes, weights, last = [helper.make_node("Flatten", ["x"], ["flat"])], [], "flat"
    for index, (kernel, bias) in enumerate(zip(trained.coefs_, trained.intercepts_, strict=True)):
        weights += [
            numpy_helper.from_array(kernel.astype("float32"), f"w{index}"),
            numpy_helper.from_array(bias.astype("float32"), f"b{index}"),
        ]
        final = index == len(trained.coefs_) - 1
        made = "y" if final else f"dense{index}"
        nodes.append(helper.make_node("Gemm", [last, f"w{index}", f"b{index}"], [made], name=f"dense{index}"))
        if not final:
            last = f"relu{index}"
            nodes.append(helper.make_node("Relu", [made], [last]))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 8])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "digits", [given], [answer], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), file)


def main() -> None:
    """Trains one model."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    train, held_out, labels, held_out_labels = load()
    {"keras": keras, "torch": torch, "onnx": onnx}[kind](train, labels, folder / FILES[kind])
    axis = {"keras": (..., None), "torch": (slice(None), None), "onnx": (...,)}[kind]
    chosen = np.random.default_rng(SEED).permutation(len(train))[:CALIBRATION]
    np.savez(folder / "calibration.npz", input_0=train[chosen][axis][:, None])
    np.savez(
        folder / "evaluation.npz",
        input_0=held_out[axis][:, None],
        labels=held_out_labels.astype("int32"),
    )


if __name__ == "__main__":
    main()
