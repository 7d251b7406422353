"""Outputs of a sound artifact on kernels of its runtime that the host does not use. Runs in the workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compile.data import goldens

_LITERT = ("BUILTIN", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
NAMES = {
    "onnxruntime": ("not optimised", "floats between integers"),
    "tflite": _LITERT,
    "openvino": ("without 8-bit kernels", "half precision"),
}


def answers(target: str, kernels: str, path: Path, file: Path, manifest: dict[str, Any]) -> list[Any]:
    """Its outputs for the inputs in an `.npz`: one array for each output, in the manifest's order."""
    inputs, _ = goldens.load(file, len(manifest["inputs"]), 0)
    rows = zip(*inputs, strict=True)
    run = {"onnxruntime": _onnxruntime, "tflite": _tflite, "openvino": _openvino}[target]
    names = [[spec.get("tensor", spec["name"]) for spec in manifest[ends]] for ends in ("inputs", "outputs")]
    found = [[np.array(array) for array in row] for row in run(kernels, path, names, rows)]
    return [np.stack(column) for column in zip(*found, strict=True)]


def _onnxruntime(kernels: str, path: Path, names: Any, rows: Any) -> Iterator[list[Any]]:
    import onnxruntime

    from edgewright.compile.sources import onnx_session

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if kernels == NAMES["onnxruntime"][0]:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    else:
        settings.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnx_session.session(path, settings)
    for row in rows:
        yield session.run(names[1], dict(zip(names[0], row, strict=True)))


def _tflite(kernels: str, path: Path, names: Any, rows: Any) -> Iterator[list[Any]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = Interpreter(
        str(path), experimental_op_resolver_type=getattr(OpResolverType, kernels), num_threads=1
    )
    model.allocate_tensors()
    given, made = (
        [_by_name(details, name, at) for at, name in enumerate(wanted)]
        for details, wanted in zip(
            (model.get_input_details(), model.get_output_details()), names, strict=True
        )
    )
    for row in rows:
        for index, array in zip(given, row, strict=True):
            model.set_tensor(index, array)
        model.invoke()
        yield [model.get_tensor(index) for index in made]


def _by_name(details: list[dict[str, Any]], name: str, at: int) -> int:
    found = [one["index"] for one in details if one["name"] == name]
    return int(found[0] if found else details[at]["index"])


def _openvino(kernels: str, path: Path, names: Any, rows: Any) -> Iterator[list[Any]]:
    import openvino as ov

    core = ov.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f16", "EXECUTION_MODE_HINT": "PERFORMANCE"}
    if kernels == NAMES["openvino"][0]:
        settings = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
    request = core.compile_model(str(path), "CPU", settings).create_infer_request()
    model = request.get_compiled_model()
    given, made = (_ports(*ends) for ends in ((model.inputs, names[0]), (model.outputs, names[1])))
    for row in rows:
        request.infer(dict(zip(given, row, strict=True)))
        yield [request.get_tensor(port).data for port in made]


def _ports(ports: list[Any], names: list[str]) -> list[Any]:
    """The ports in the runner's way: by name if the file has all names, else by position."""
    by_name = {name: port for port in ports for name in port.get_names()}
    return [by_name[name] for name in names] if all(name in by_name for name in names) else list(ports)
