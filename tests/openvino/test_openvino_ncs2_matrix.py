"""Every source format to OpenVINO 2021.4: converted by its Model Optimizer, answered by that release on its CPU device."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.explain import explain
from edgewright.compile.graph import operations
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion, Ends

pytestmark = [pytest.mark.slow, pytest.mark.sampled(3), pytest.mark.timeout(900)]
FILES = {
    "keras": "keras/{}.keras", "h5": "tf_keras/{}.h5", "savedmodel": "keras/{}_saved", "frozen": "frozen/{}.pb",
    "onnx": "onnx/{}.onnx", "tflite": "keras/{}.tflite", "pt2": "torch/{}.pt2", "pytorch": "torch/torch_models.py:{}",
}  # fmt: skip
ENDS = {
    "cnn": (("image",), ("classes",)), "lstm": (("series",), ("scores",)), "gru": (("series",), ("scores",)),
    "attention": (("series",), ("scores",)), "tokens": (("tokens",), ("scores",)),
}  # fmt: skip
IN_CI = ("keras", "onnx", "tflite")
KINDS = [pytest.param(kind, marks=() if kind in IN_CI else pytest.mark.exhaustive) for kind in sorted(FILES)]
LEAST_DB = {"fp32": 100, "fp16": 50}
OTHERS = {
    "two_in_two_out": ("savedmodel", "pytorch"),
    "tokens": ("frozen", "pt2"),
    "attention": ("h5", "pt2", "onnx"),
    "dynamic": ("keras", "onnx"),
}
PINNED = tomllib.loads((Path(__file__).parents[1] / "conformance" / "edges.toml").read_text())


@pytest.fixture(scope="module")
def request_of(small_models: Callable[[str], Path]) -> Callable[..., CompileRequest]:
    """`request_of(kind, model, precision)`."""

    def make(kind: str, model: str, precision: str) -> CompileRequest:
        folder, _, file = FILES[kind].format(model).partition("/")
        inputs, outputs = ENDS[model] if kind == "frozen" else ((), ())
        shape = (1, 3, 12, 14) if kind == "onnx" else (1, 12, 14, 3)
        return compile_request(
            source=Path(f"{small_models(folder)}/{file}"), target="openvino2021", precision=precision, goldens=8,
            shapes={"image": shape} if model == "dynamic" else {},
            conversion=Conversion(ends=Ends(inputs=inputs, outputs=outputs)),
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def made(toolchain: Path, workers: Workers) -> Callable[[CompileRequest], Artifact]:
    """Converts, and asserts that 2021.4 answers as the source does, and not one answer to everything."""
    from edgewright.compile.pipeline import compile_model

    def make(request: CompileRequest) -> Artifact:
        artifact = compile_model(request, workers=workers)
        manifest = artifact.manifest
        assert manifest.precision == request.precision and manifest.requires == {"ir": 10}
        assert manifest.parity.sqnr_db > LEAST_DB[manifest.precision]
        with np.load(artifact.folder / manifest.goldens.file) as goldens:
            for place in range(len(manifest.outputs)):
                answers = goldens[f"output_{place}"]
                assert len(np.unique(answers, axis=0)) == len(answers)
        return artifact

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_every_precision_of_every_source_and_what_is_fused(
    request_of: Any, made: Any, workers: Workers, kind: str
) -> None:
    assert PINNED[kind]["openvino2021"].split() == list(LEAST_DB)
    for precision in LEAST_DB:
        request = request_of(kind, "cnn", precision)
        found = explain(request, made(request), workers)
        assert {layer.arithmetic for layer in found.layers} == {precision}
        norms, activations = found.elements
        assert (norms.file, norms.runtime, activations.runtime) == (0, 0, 0)
        assert found.runtime is not None
        assert not {"Relu", "ReLU", "Clamp", "BatchNormInference"} & set(found.runtime)
        assert sum(group.count for group in found.fused if len(group.pattern) > 1) >= 2
        layers = sum(
            count
            for name, count in found.runtime.items()
            if operations.is_layer(operations.Operation(name="", operator=name))
        )
        assert layers == len(found.layers) == 4


@pytest.mark.parametrize("model", ["lstm", "gru"])
@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_layers_of_every_source(request_of: Any, made: Any, kind: str, model: str) -> None:
    made(request_of(kind, model, "fp32"))


@pytest.mark.parametrize(
    ("model", "kind"), [(model, kind) for model, kinds in OTHERS.items() for kind in kinds]
)
def test_other_kinds_of_models(request_of: Any, made: Any, kind: str, model: str) -> None:
    """Several inputs and outputs, token ids, attention, open axes."""
    artifact = made(request_of(kind, model, "fp32"))
    assert len(artifact.manifest.outputs) == (2 if model == "two_in_two_out" else 1)


def test_every_source_that_has_a_way_is_here() -> None:
    assert {kind for kind, ways in PINNED.items() if "openvino2021" in ways and kind != "toolchains"} == set(
        FILES
    )
