"""Runs an artifact as an application does: with its runtime's own API and the names in its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright import targets
from edgewright.nouns.artifact import Artifact

Arrays = Mapping[str, np.ndarray[Any, Any]]


def answers(artifact: Artifact, feed: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    """{name in the file: value} of the outputs, from inputs by their names in the file."""
    path = str(artifact.folder / artifact.manifest.entry)
    return {"onnxruntime": _onnx, "tensorrt": _onnx, "openvino": _openvino, "tflite": _tflite}[
        artifact.manifest.target
    ](path, feed)


def _onnx(path: str, feed: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    from edgewright.compile.sources import onnx_session

    session = onnx_session.session(Path(path))
    names = [item.name for item in session.get_outputs()]
    assert {item.name for item in session.get_inputs()} == set(feed)
    return dict(zip(names, session.run(names, dict(feed)), strict=True))


def _openvino(path: str, feed: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    import openvino

    # exact sums whatever this CPU is, as in `_onnx`
    settings = {"INFERENCE_PRECISION_HINT": "f32", **targets.runner("openvino").exactly({"exact": True})}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    found = compiled(dict(feed))
    return {name: found[port] for port in compiled.outputs for name in port.get_names()}


def _tflite(path: str, feed: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    assert list(interpreter.get_signature_list()) == ["serving_default"]
    runner = interpreter.get_signature_runner()
    tensors = {detail["name"] for detail in interpreter.get_input_details()}
    assert tensors == set(runner.get_input_details()) == set(feed)
    return dict(runner(**feed))
