"""A small ONNX model with a layer of each kind that int8 is about, real samples for it, and workers that the tests share."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conv, BatchNormalization, Relu, pool, Gemm; a tensor inside has a colon in its name, as TensorFlow's have."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(5)
    weights = {
        "kernel": random.normal(size=(6, 3, 3, 3)), "scale": random.uniform(0.5, 2, 6), "shift": random.normal(size=6),
        "mean": random.normal(size=6), "var": random.uniform(0.5, 2, 6),
        "dense": random.normal(size=(6, 4)), "bias": random.normal(size=4),
    }  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["conv:0"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node(
                "BatchNormalization", ["conv:0", "scale", "shift", "mean", "var"], ["bn:0"], name="bn"
            ),
            helper.make_node("Relu", ["bn:0"], ["relu:0"], name="relu"),
            helper.make_node("GlobalAveragePool", ["relu:0"], ["pool"], name="pool"),
            helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
            helper.make_node("Gemm", ["flat", "dense", "bias"], ["y"], name="fc"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(array.astype("float32"), name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 samples of the model's input, spread over several magnitudes, so that answers differ."""
    random = np.random.default_rng(3)
    images = random.normal(size=(40, 3, 8, 8)) * random.uniform(0.2, 3, size=(40, 1, 1, 1))
    path = tmp_path_factory.mktemp("samples") / "samples.npz"
    np.savez(path, x=images.astype("float32"))
    return path
