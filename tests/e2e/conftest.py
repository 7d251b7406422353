"""A lab of two real SSH boards, tiny real models, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Ran, command_line

from edgewright.compile.sources import onnx_session

CLASSES = 5


@pytest.fixture(scope="session")
def run() -> Callable[..., Ran]:
    """`run("status", "--json")` runs the command line."""
    return command_line


@pytest.fixture(scope="module", autouse=True)
def lab(module_home: Path) -> Iterator[Path]:
    """Two boards, e-1 (poses as a Pi 5) and e-2; gives their folder."""
    made = command_line(
        "lab", "up", "--boards", 2, "--profile", "pi5", "--profile", "generic-x86_64", "--name", "e", "--json"
    )
    assert made.code == 0, made.err
    yield module_home / "lab" / "e"
    assert command_line("lab", "down", "--json").code == 0


def network(seed: int, *, swapped: bool = False) -> bytes:
    """A small convolutional net with seeded He-normal weights; `swapped` exchanges two classes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    conv = random.normal(0, np.sqrt(2 / 9), (8, 1, 3, 3)).astype(np.float32)
    dense = random.normal(0, np.sqrt(2 / 288), (288, CLASSES)).astype(np.float32)
    if swapped:
        dense = dense[:, [1, 2, 0, 3, 4]]
    nodes = [
        helper.make_node("Conv", ["image", "conv"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "dense"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(conv, "conv"), numpy_helper.from_array(dense, "dense")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, module_home: Path) -> Path:
    """A folder with good.onnx, retrained.onnx, wrong.onnx, evaluation.npz and calibration.npz."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "good.onnx").write_bytes(network(1))
    (folder / "retrained.onnx").write_bytes(retrained(network(1)))
    (folder / "wrong.onnx").write_bytes(network(1, swapped=True))
    images = np.random.default_rng(5).normal(0, 1, (120, 1, 8, 8)).astype(np.float32)
    session = onnx_session.session(folder / "good.onnx")
    labels = np.array([session.run(None, {"image": image[None]})[0].argmax() for image in images])
    np.savez(folder / "evaluation.npz", image=images, labels=labels)
    np.savez(folder / "calibration.npz", image=images[:64])
    return folder


def retrained(data: bytes) -> bytes:
    """The same net with slightly changed weights."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name)
        )
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def deployed(models: Path) -> Callable[..., Ran]:
    """Deploys a model of `models` by its file name."""

    def deploy(name: str, *more: object, to: str = "e-2", model: str = "tiny") -> Ran:
        return command_line(
            "deploy",
            models / name,
            "--to",
            to,
            "--name",
            model,
            "--target",
            "onnxruntime",
            "--precision",
            "fp32",
            *more,
            "--json",
        )

    return deploy
