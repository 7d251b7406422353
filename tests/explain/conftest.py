"""Nets of convolution, batch normalisation and activation in several formats; made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAKE_KERAS = """
import sys, pathlib, numpy as np, keras
keras.utils.set_random_seed(5)
L, place = keras.layers, pathlib.Path(sys.argv[1])
x = image = L.Input((16, 16, 3), name="image")
for index in range(2):
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = L.ReLU()(L.BatchNormalization()(x))
x = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
net = keras.Model(image, L.Dense(4)(L.GlobalAveragePooling2D()(x)))
r = np.random.default_rng(6)
for layer in net.layers:
    if isinstance(layer, L.BatchNormalization):
        n = layer.gamma.shape[0]
        layer.set_weights([r.uniform(.5, 1.5, n), r.normal(size=n), r.normal(size=n), r.uniform(.5, 1.5, n)])
net.save(place / "net.keras")
np.savez(place / "images.npz", image=r.normal(size=(16, 16, 16, 3)).astype("float32"))
"""

MAKE_TORCH = """
import sys, pathlib, torch
torch.manual_seed(5)
n = torch.nn
def block(i, o):
    norm = n.BatchNorm2d(o)
    norm.running_mean.normal_(); norm.running_var.uniform_(.5, 1.5); norm.weight.data.uniform_(.5, 1.5); norm.bias.data.normal_()
    return [n.Conv2d(i, o, 3, padding=1, bias=False), norm, n.ReLU()]
net = n.Sequential(*block(3, 8), *block(8, 8), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, 4)).eval()
torch.export.save(torch.export.export(net, (torch.randn(1, 3, 16, 16),)), pathlib.Path(sys.argv[1]) / "net.pt2")
"""


@pytest.fixture(scope="session")
def keras_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.keras with two convolutions and a depthwise one, images.npz."""
    return made(tmp_path_factory.mktemp("keras"), MAKE_KERAS) / "net.keras"


@pytest.fixture(scope="session")
def torch_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.pt2 with two convolutions."""
    return made(tmp_path_factory.mktemp("torch"), MAKE_TORCH) / "net.pt2"


def made(place: Path, program: str) -> Path:
    subprocess.run([sys.executable, "-W", "ignore", "-c", program, place], check=True, capture_output=True)
    return place


@pytest.fixture(scope="session")
def onnx_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.onnx with two convolutions, opset 13."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(3)
    nodes, weights, last, channels = [], {}, "x", 3
    for index in range(2):
        weights[f"k{index}"] = generator.normal(size=(8, channels, 3, 3)) * 0.3
        for name in ("scale", "shift", "mean", "variance"):
            values = generator.normal(size=8) if name in ("shift", "mean") else generator.uniform(0.5, 1.5, 8)
            weights[f"{name}{index}"] = values
        norm = [f"{name}{index}" for name in ("conv", "scale", "shift", "mean", "variance")]
        nodes += [
            helper.make_node("Conv", [last, f"k{index}"], [norm[0]], name=f"conv{index}", pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", norm, [f"norm{index}"], name=f"norm{index}"),
            helper.make_node("Relu", [f"norm{index}"], [f"relu{index}"], name=f"relu{index}"),
        ]
        last, channels = f"relu{index}", 8
    weights["dense"] = generator.normal(size=(8, 4))
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense"], ["y"], name="dense"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(array.astype("float32"), name) for name, array in weights.items()],
    )
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
