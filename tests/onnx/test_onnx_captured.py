"""Constants that a TensorFlow function captures, which freezing leaves as inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers

# a table of positions that a layer adds: an eager tensor, not a variable
MAKE = """
import sys, numpy as np, keras
x = keras.Input((6,), name="x")
keras.Model(x, keras.layers.Dense(3)(x + keras.ops.convert_to_tensor(np.arange(6, dtype="float32")))).save(sys.argv[1])
"""


def test_a_captured_constant_is_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "positions.keras"
    subprocess.run([sys.executable, "-c", MAKE, path], check=True, capture_output=True, timeout=120)
    with Workers(tmp_path / "log") as workers:
        request = compile_request(source=path, target="onnxruntime", precision="fp32", use_cache=False)
        made = compile_model(request, workers=workers)
    graph = onnx.load(made.folder / made.manifest.entry).graph
    assert [item.name for item in graph.input] == ["x"]
    assert made.manifest.parity.sqnr_db > 100
