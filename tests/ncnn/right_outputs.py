"""Compares what the runner computes with the source in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgewright import targets
from edgewright.compile.sources import onnx_session
from edgewright.nouns.artifact import Artifact

FLOAT, UINT8, INT32, INT64 = 1, 2, 6, 7  # TensorProto.DataType


def outputs_of(artifact: Artifact, inputs: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """What the runner computes, in the manifest's shapes."""
    manifest = artifact.manifest
    raw = {
        "entry": manifest.entry, "precision": manifest.precision,
        "inputs": [{"name": one.name, "tensor": one.bound, "dtype": one.dtype, "shape": one.shape} for one in manifest.inputs],
        "outputs": [{"name": one.name, "tensor": one.bound, "dtype": one.dtype, "shape": one.shape} for one in manifest.outputs],
    }  # fmt: skip
    session = targets.runner("ncnn").load(str(artifact.folder), raw, {"threads": 1})
    found = session.read(session.infer(session.feed([array.tobytes() for array in inputs])))
    session.close()
    return [
        np.frombuffer(data, spec.dtype).reshape(spec.shape)
        for data, spec in zip(found, manifest.outputs, strict=True)
    ]


def assert_right(artifact: Artifact, source: Path, tolerance: float, most: int = 16) -> None:
    """Compares three new inputs with the source in ONNX Runtime; the source's outputs differ from input to input.

    Args:
        most: integer inputs are below it.
    """
    session, random, seen = onnx_session.session(source), np.random.default_rng(99), set()
    for _ in range(3):
        inputs = [
            random.integers(0, most, spec.shape).astype(spec.dtype)
            if "int" in spec.dtype
            else random.normal(size=spec.shape).astype(spec.dtype)
            for spec in artifact.manifest.inputs
        ]
        names = [spec.name for spec in artifact.manifest.inputs]
        wanted = session.run(
            [spec.name for spec in artifact.manifest.outputs], dict(zip(names, inputs, strict=True))
        )
        found = outputs_of(artifact, inputs)
        assert [one.shape for one in found] == [one.shape for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert np.abs(one - other).max() < tolerance
        seen.add(wanted[0].tobytes())
    assert len(seen) == 3
