"""The workspace of an engine build follows a Jetson's free memory, and fp16 keeps the squares of layer normalisations wide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto, helper, numpy_helper

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright_targets._cuda import device
from edgewright_targets.tensorrt.half_layer_norms import squares

RUNNER = targets.runner("tensorrt")
RECIPE = {"workspace_mb": 256}


@pytest.mark.parametrize(
    ("free", "workspace"), [(0, 256), (100, 64), (1200, 300), (5488, 1372), (56320, 2048)]
)
def test_the_workspace_is_a_part_of_the_free_memory(free: int, workspace: int) -> None:
    assert RUNNER.workspace_mb(RECIPE, free) == workspace


def test_only_a_jetson_shares_its_memory_with_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "jetpack", lambda: "")
    assert RUNNER._free_mb() == 0
    monkeypatch.setattr(device, "jetpack", lambda: "R32.7.1")
    assert RUNNER._free_mb() > 64


def test_the_build_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []

    class Config:
        def clear_flag(self, flag: Any) -> None: ...
        def set_memory_pool_limit(self, pool: str, size: int) -> None:
            limits.append(size)

    class Builder:
        def __init__(self, logger: Any) -> None: ...
        def create_network(self, flags: int) -> str:
            return "network"

        def create_builder_config(self) -> Config:
            return Config()

        def build_serialized_network(self, network: Any, config: Any) -> bytes:
            return b"engine"

    class Logger:
        WARNING = 1

        def __init__(self, level: int) -> None: ...

    class Parser:
        def __init__(self, network: Any, logger: Any) -> None: ...
        def parse_from_file(self, path: str) -> bool:
            return True

    trt = type("trt", (), {
        "__version__": "11.4.0", "Logger": Logger,
        "Builder": Builder, "OnnxParser": Parser, "BuilderFlag": type("F", (), {"TF32": 1}),
        "MemoryPoolType": type("M", (), {"WORKSPACE": "workspace"}),
    })  # fmt: skip
    monkeypatch.setattr(RUNNER, "_free_mb", lambda: 1200)
    recipe = {"styles": {"10": {"model": "model.onnx", "types": []}}, **RECIPE}
    assert RUNNER._build(trt, "/nowhere", recipe) == b"engine"
    assert limits == [300 * 1024**2]


@pytest.fixture(params=["Pow", "Mul"])
def normalised(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A dense layer and a layer normalisation as opset 13 writes it."""
    node = helper.make_node
    square = ["d", "two"] if request.param == "Pow" else ["d", "d"]
    graph = helper.make_graph(
        [
            node("MatMul", ["x", "w"], ["h"], name="/dense"),
            node("ReduceMean", ["h"], ["m"], axes=[-1], name="/ln/mean"),
            node("Sub", ["h", "m"], ["d"], name="/ln/sub"),
            node(request.param, square, ["q"], name="/ln/square"),
            node("ReduceMean", ["q"], ["v"], axes=[-1], name="/ln/var"),
            node("Add", ["v", "eps"], ["e"], name="/ln/add"),
            node("Sqrt", ["e"], ["r"], name="/ln/sqrt"),
            node("Div", ["d", "r"], ["n"], name="/ln/div"),
            node("MatMul", ["n", "w"], ["y"], name="/head"),
        ],
        "ln",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16])],
        [
            numpy_helper.from_array(np.random.default_rng(1).normal(size=(16, 16)).astype("float32"), "w"),
            numpy_helper.from_array(np.float32(2), "two"),
            numpy_helper.from_array(np.float32(1e-3), "eps"),
        ],
    )
    path = tmp_path / "ln.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, path)
    return path


def test_squares_of_a_layer_normalisation_stay_in_float32(normalised: Path, workers: Workers) -> None:
    assert squares(onnx.load(str(normalised))) == ["/ln/square", "/ln/var"]
    request = compile_request(source=normalised, target="tensorrt", precision="fp16")
    artifact = compile_model(request, workers=workers)
    (note,) = [one for one in artifact.manifest.notes if "layer normalisations" in one]
    assert "/ln/square, /ln/var" in note and "export at opset 17" in note and "8.6 or newer" in note
    shipped = onnx.shape_inference.infer_shapes(onnx.load(str(artifact.folder / "model.onnx"))).graph
    kinds = {item.name: item.type.tensor_type.elem_type for item in [*shipped.value_info, *shipped.output]}
    made = {node.name: kinds[node.output[0]] for node in shipped.node if node.name.startswith("/")}
    assert made["/ln/square"] == made["/ln/var"] == TensorProto.FLOAT
    assert TensorProto.FLOAT16 in made.values()


def test_a_mean_of_other_squares_is_no_layer_normalisation(model: Path) -> None:
    assert squares(onnx.load(str(model))) == []
