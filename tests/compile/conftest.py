"""Small models of every source format, made once, and the real ones beside the project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAKE_MODELS = """
import sys, pathlib, numpy as np, keras
keras.utils.set_random_seed(7)
place = pathlib.Path(sys.argv[1])
L = keras.layers
image = L.Input((8, 8, 3), name="image")
x = L.Conv2D(8, 3, activation="relu", padding="same")(image)
x = L.DepthwiseConv2D(3, padding="same")(x)
x = L.ReLU()(L.BatchNormalization()(x))
x = L.GlobalAveragePooling2D()(x)
net = keras.Model(image, L.Dense(5, activation="softmax", kernel_initializer="orthogonal")(L.Dense(16)(x)))
net.save(place / "net.keras"); net.save(place / "net.h5")
net.export(place / "net_saved", verbose=False)
net.layers[1].kernel.assign(net.layers[1].kernel * 0); net.save(place / "constant.keras")
left, right = L.Input((4,), name="left"), L.Input((6,), name="right")
both = L.Concatenate()([left, right])
two = keras.Model([left, right], [L.Dense(3, name="small")(both), L.Dense(7, name="wide")(both)])
two.save(place / "two.keras")
tokens = L.Input((None,), dtype="int32", name="tokens")
free = keras.Model(tokens, L.Dense(4)(L.GlobalAveragePooling1D()(L.Embedding(12, 6)(tokens))))
free.save(place / "free.keras")
r = np.random.default_rng(1)
images = r.normal(size=(40, 8, 8, 3)).astype("float32")
labels = net(images).numpy().argmax(1)
np.savez(place / "images.npz", image=images)
"""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: net.keras, net.h5, net_saved, constant.keras, two.keras, free.keras, net.onnx, images.npz."""
    place = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE_MODELS, place], check=True, capture_output=True
    )
    write_onnx(place / "net.onnx")
    return place


def write_onnx(path: Path, *, scale: float = 1.0) -> None:
    """Writes a model of Conv, Relu, pool and Gemm with an open batch and seeded weights, IR 8, opset 13."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(5)
    weights = {
        "kernel": generator.normal(size=(6, 3, 3, 3)).astype("float32") * scale,
        "dense": generator.normal(size=(6, 4)).astype("float32"),
        "bias": generator.normal(size=(4,)).astype("float32"),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["conv"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["conv"], ["relu"]),
            helper.make_node("GlobalAveragePool", ["relu"], ["pool"]),
            helper.make_node("Flatten", ["pool"], ["flat"]),
            helper.make_node("Gemm", ["flat", "dense", "bias"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
