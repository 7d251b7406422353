"""Artifacts that can be exported, and their programs: one network of two inputs and two outputs, for both architectures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.cpu import CPUS
from edgewright_targets.tvm.target import TOOLCHAIN

KNOWN = {"x86_64": CPUS["x86_64", "x86-64"], "aarch64": CPUS["aarch64", "cortex-a72"]}


def network(path: Path) -> Path:
    """Writes a classifier whose first input to be declared is the smaller one, and which gives a class besides."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)
    conv = random.normal(0, 1 / 3, (4, 1, 3, 3)).astype(np.float32)
    dense = random.normal(0, 0.2, (4 * 36 + 3, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "conv"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Concat", ["f", "more"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "dense"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 3]),
         helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5]),
         helper.make_tensor_value_info("best", TensorProto.INT64, [1])],
        [numpy_helper.from_array(conv, "conv"), numpy_helper.from_array(dense, "dense")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.fixture(scope="module")
def workers(
    module_home: Path, toolchain_folder: Callable[[str], Path], worker_folders: dict[str, list[Path]]
) -> Iterator[Workers]:
    """Worker processes of this module's home, with the toolchain."""
    place = module_home / "toolchains" / TOOLCHAIN
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(toolchain_folder(TOOLCHAIN))
    with Workers(module_home / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="module")
def artifact_for(workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifact]:
    """`artifact_for("aarch64")`: the network, compiled for a CPU of an architecture."""
    source = network(tmp_path_factory.mktemp("net") / "Two ends.onnx")
    made: dict[str, Artifact] = {}

    def one(arch: str) -> Artifact:
        if arch not in made:
            request = compile_request(
                source=source, target="tvm", precision="fp32", goldens=8, cpu=KNOWN[arch]
            )
            made[arch] = compile_model(request, workers=workers)
        return made[arch]

    return one
