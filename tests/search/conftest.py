"""A net of which one layer does not stand 8 bits, with data and labels; made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.compile.sources import onnx_session


@pytest.fixture(scope="session")
def outlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: outlier.onnx, images.npz (calibration), labelled.npz (evaluation, labels by the net itself).

    The second convolution has large weights on a channel that is always zero. They cost nothing in floats, but they
    decide the scale of the 8-bit weights of that layer, and leave few bits to the others: int8 follows the source as
    closely as the verdict requires (17 of 15 dB), but loses more accuracy than the tests allow.
    """
    place = tmp_path_factory.mktemp("outlier")
    write_net(place / "outlier.onnx", outlier=8.0)
    write_data(place)
    return place


@pytest.fixture(scope="session")
def shattered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `outlier`, with weights so large that int8 is far outside its tolerance."""
    place = tmp_path_factory.mktemp("shattered")
    write_net(place / "outlier.onnx", outlier=600.0)
    write_data(place)
    return place


@pytest.fixture(scope="session")
def outlier_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `outlier`, made by Keras: outlier.keras, outlier.tflite, images.npz, labelled.npz."""
    place = tmp_path_factory.mktemp("outlier_tflite")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE_TFLITE, place], check=True, capture_output=True
    )
    return place


MAKE_TFLITE = """
import sys, pathlib, numpy as np, tensorflow as tf
tf.keras.utils.set_random_seed(3)
place, L = pathlib.Path(sys.argv[1]), tf.keras.layers
x = image = L.Input((12, 12, 3), batch_size=1, name="x")
for index in range(4):
    x = L.Conv2D(8, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv{index}")(x)
x = L.Flatten()(L.AveragePooling2D(4)(x))
net = tf.keras.Model(image, L.Dense(6, kernel_initializer="he_normal", name="dense")(x))
images = np.random.default_rng(12).normal(size=(448, 1, 12, 12, 3)).astype("float32")
bias = np.zeros(8, "float32"); bias[0] = -9
net.get_layer("conv0").bias.assign(bias)
kernel = net.get_layer("conv1").kernel.numpy(); kernel[:, :, 0] = 9
net.get_layer("conv1").kernel.assign(kernel)
net.get_layer("dense").bias.assign(-net(images[:, 0]).numpy().mean(0))  # else one class wins always
net.save(place / "outlier.keras")
run = tf.function(lambda a: net(a), input_signature=[tf.TensorSpec((1, 12, 12, 3), name="x")])
converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()])
(place / "outlier.tflite").write_bytes(converter.convert())
answers = np.stack([run(image).numpy()[0] for image in images])
np.savez(place / "images.npz", input_0=images[:48])
np.savez(place / "labelled.npz", input_0=images[48:], labels=answers[48:].argmax(1).astype("int32"))
print(np.bincount(answers.argmax(1)))
"""


def write_net(path: Path, *, outlier: float, convolutions: int = 4) -> None:
    """Convolutions with ReLU, pooled, and a dense layer; input x of (1, 3, 12, 12), output y of (1, 6)."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(11)
    nodes, weights, last, channels = [], [], "x", 3
    for index in range(convolutions):
        kernel = generator.normal(size=(8, channels, 3, 3)).astype("float32") * (2 / (9 * channels)) ** 0.5
        bias = generator.normal(size=8).astype("float32") * 0.1
        if index == 0:
            bias[0] = -9  # behind the ReLU this channel is zero, whatever the input
        if index == 1:
            kernel[:, 0] = outlier
        weights += [numpy_helper.from_array(kernel, f"k{index}"), numpy_helper.from_array(bias, f"b{index}")]
        inputs = [last, f"k{index}", f"b{index}"]
        nodes.append(helper.make_node("Conv", inputs, [f"c{index}"], name=f"conv{index}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"], name=f"relu{index}"))
        last, channels = f"r{index}", 8
    dense = generator.normal(size=(8 * 9, 6)).astype("float32") * 0.3
    weights.append(numpy_helper.from_array(dense, "d"))
    nodes += [
        helper.make_node("AveragePool", [last], ["p"], name="pool", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "d"], ["y"], name="dense"),
    ]
    graph = helper.make_graph(
        nodes,
        "outlier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_data(place: Path) -> None:
    """48 samples to calibrate, 400 labelled by the net itself, so that the source's accuracy is 1."""
    import numpy as np

    generator = np.random.default_rng(12)
    images = generator.normal(size=(448, 3, 12, 12)).astype("float32")
    session = onnx_session.session(place / "outlier.onnx")
    answers = np.stack([session.run(None, {"x": image[None]})[0][0] for image in images])
    np.savez(place / "images.npz", x=images[:48, None])
    np.savez(place / "labelled.npz", x=images[48:, None], labels=answers[48:].argmax(1).astype("int32"))
