"""From ONNX, convolution, batch normalisation and activation become one operator of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.compile.explain import explain
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers


@pytest.mark.slow  # 20 s, and the toolchain's installation
def test_onnx_is_folded(
    small_models: Callable[[str], Path], workers: Workers, onnx2tf_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(onnx2tf_home))
    for precision in ("fp32", "int8"):
        request = compile_request(
            source=small_models("onnx") / "cnn.onnx",
            target="tflite",
            precision=precision,
            calibration="synthetic",
        )
        found = explain(request, compile_model(request, workers=workers), workers)
        assert [(item.source, item.file) for item in found.elements] == [(2, 0), (2, 0)]
        assert {group.pattern[1:] for group in found.fused} == {("RELU",)}
        assert sum(group.count for group in found.fused) == 2
        assert {layer.arithmetic for layer in found.layers} == {precision} and len(found.layers) == 4
