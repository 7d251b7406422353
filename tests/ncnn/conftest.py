"""Conversions to ncnn, in a state folder and workers that a module's tests share, and ONNX graphs of a few nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact

sys.path.insert(0, str(Path(__file__).parent))  # for right_outputs


@pytest.fixture(scope="module")
def workers(module_home: Path, worker_folders: dict[str, list[Path]]) -> Iterator[Workers]:
    """Worker processes of this module's home."""
    with Workers(module_home / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="module")
def compiled(workers: Workers) -> Callable[..., Artifact]:
    """`compiled(path, precision="fp32", **fields of a request)`."""

    def make(source: Path, precision: str = "fp32", **more: Any) -> Artifact:
        request = compile_request(source=source, target="ncnn", precision=precision, goldens=8, **more)
        return compile_model(request, workers=workers)

    return make


@pytest.fixture
def graph(tmp_path: Path) -> Callable[..., Path]:
    """`graph(nodes, inputs, outputs, weights={}, opset=17)`: the path of a checked ONNX file.

    Each node is (operator, inputs, outputs, attributes); each end is (name, type of TensorProto, shape); the shape of an output may be
    None: it is inferred.
    """

    def make(
        nodes: Sequence[tuple[str, list[str], list[str], dict[str, Any]]],
        inputs: Sequence[tuple[str, int, list[Any]]],
        outputs: Sequence[tuple[str, int, list[Any]]],
        weights: Mapping[str, Any] | None = None,
        opset: int = 17,
    ) -> Path:
        import onnx
        from onnx import helper, numpy_helper

        made = helper.make_graph(
            [helper.make_node(kind, takes, gives, **flags) for kind, takes, gives, flags in nodes],
            "few",
            [helper.make_tensor_value_info(*end) for end in inputs],
            [helper.make_tensor_value_info(*end) for end in outputs],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        path = tmp_path / "few.onnx"
        onnx.save(model, path)
        return path

    return make
