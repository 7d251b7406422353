"""From ONNX too, scores beside boxes in pixels are refused in int8 where they share one scale."""

from __future__ import annotations

from pathlib import Path

import coarse_models
import pytest

from edgewright.compile import levels
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers


@pytest.mark.slow  # the toolchain's installation
def test_scores_beside_pixels_are_refused_and_named(
    tmp_path: Path, workers: Workers, onnx2tf_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(onnx2tf_home))
    coarse_models.write_onnx(tmp_path)
    request = CompileRequest(
        source=tmp_path / "head.onnx", target="tflite", precision="int8", calibration=tmp_path / "images.npz"
    )
    with pytest.raises(levels.Coarse, match=r"in output y, 4 to 9 of axis 1, \(range 1, steps of "):
        compile_model(request, workers=workers)
