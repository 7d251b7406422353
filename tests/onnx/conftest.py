"""Conversions to ONNX in shared worker processes, and looks into what came out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.sources import onnx_session
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion


@pytest.fixture
def made(workers: Workers) -> Callable[..., Artifact]:
    """`made(source, "int8", keep_float=("conv3",), max_opset=15)`: the artifact for ONNX Runtime."""

    def convert(source: Path, precision: str | None = None, **choices: Any) -> Artifact:
        conversion = {name: choices.pop(name) for name in Conversion.__struct_fields__ if name in choices}
        request = compile_request(
            source=source, precision=precision, conversion=Conversion(**conversion),
            **{"target": "onnxruntime", "calibration": "synthetic", **choices},
        )  # fmt: skip
        return compile_model(request, workers=workers)

    return convert


@pytest.fixture
def graph_of() -> Callable[[Artifact], Any]:
    """The ModelProto of an artifact."""

    def load(artifact: Artifact) -> Any:
        import onnx

        return onnx.load(str(artifact.folder / artifact.manifest.entry))

    return load


@pytest.fixture
def answers_of() -> Callable[..., list[np.ndarray]]:
    """`answers_of(artifact)`: its outputs for its own golden inputs, one array an output."""

    def run(artifact: Artifact) -> list[np.ndarray]:
        manifest = artifact.manifest
        session = onnx_session.session(artifact.folder / manifest.entry)
        rows = []
        with np.load(artifact.folder / manifest.goldens.file) as goldens:
            for index in range(manifest.goldens.count):
                feed = {
                    spec.name: goldens[f"input_{place}"][index] for place, spec in enumerate(manifest.inputs)
                }
                rows.append(session.run([spec.name for spec in manifest.outputs], feed))
        return [np.stack(column) for column in zip(*rows, strict=True)]

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write("name.onnx", [nodes], {"x": (1, 3)}, {"y": (1, 4)}, {"w": array}, opset=13)`: the file.

    A node is (operator, inputs, outputs, attributes); all inputs and outputs are float32.
    """

    def save(
        name: str,
        nodes: list[tuple[str, list[str], list[str], dict[str, Any]]],
        inputs: dict[str, tuple[int, ...]],
        outputs: dict[str, tuple[int, ...]],
        weights: dict[str, np.ndarray],
        *,
        opset: int = 13,
        domains: dict[str, int] | None = None,
    ) -> Path:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        def values(ends: dict[str, tuple[int, ...]]) -> list[Any]:
            return [
                helper.make_tensor_value_info(end, TensorProto.FLOAT, shape) for end, shape in ends.items()
            ]

        graph = helper.make_graph(
            [helper.make_node(kind, read, made, **flags) for kind, read, made, flags in nodes],
            "graph", values(inputs), values(outputs),
            [numpy_helper.from_array(array, key) for key, array in weights.items()],
        )  # fmt: skip
        sets = [helper.make_opsetid(key, version) for key, version in {"": opset, **(domains or {})}.items()]
        model = helper.make_model(graph, opset_imports=sets, ir_version=8)
        onnx.save(model, str(tmp_path / name))
        return tmp_path / name

    return save
