"""What runs in edgewright's workers: an artifact's answers, as arrays."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compile import goldens
from edgewright.compile.answers import real
from edgewright.compile.jobs import SourceRef, artifact_answers, opened


@lru_cache(maxsize=1)
def _inputs(file: Path) -> Any:
    return np.load(file)


def golden_answers(runner: str, folder: Path, manifest: dict[str, Any], file: Path) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """(references, answers): real values, one array an output, over all goldens."""
    inputs, references = goldens.load(file, len(manifest["inputs"]), len(manifest["outputs"]))
    return references, _stacked(runner, folder, manifest, zip(*inputs, strict=True))


def labels(runner: str, folder: Path, manifest: dict[str, Any], file: Path, first: int) -> Any:
    """Where the first output's greatest value is, from `first` on, for the samples of an `.npy`; -1 where one is not finite."""
    rows = ([row] for row in _inputs(file))
    return _greatest(_stacked(runner, folder, manifest, rows)[0], first)


def source_labels(source: SourceRef, file: Path, first: int) -> Any:
    """The same by the source."""
    model = opened(source)
    return _greatest(np.stack([model.run([row])[0].copy() for row in _inputs(file)]), first)


def onnxruntime_kernels(path: Path, file: Path) -> dict[str, Any]:
    """The first output for the goldens, without the runtime's optimisations."""
    import onnxruntime

    from edgewright.compile import onnxsession

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxsession.session(path, settings)
    name = session.get_inputs()[0].name
    rows = goldens.load(file, 1, 0)[0][0]
    return {"not optimised": np.stack([session.run(None, {name: row})[0] for row in rows])}


def tflite_kernels(path: Path, file: Path) -> dict[str, Any]:
    """The first output for the goldens, by each of the runtime's sets of kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    found = {}
    rows = goldens.load(file, 1, 0)[0][0]
    for name in ("BUILTIN", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"):
        model = Interpreter(
            str(path), experimental_op_resolver_type=getattr(OpResolverType, name), num_threads=1
        )
        model.allocate_tensors()
        given, made = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
        answers = []
        for row in rows:
            model.set_tensor(given, row)
            model.invoke()
            answers.append(model.get_tensor(made).copy())
        found[name.lower()] = np.stack(answers)
    return found


def _stacked(runner: str, folder: Path, manifest: dict[str, Any], rows: Any) -> list[Any]:
    answers = [[array.copy() for array in row] for row in artifact_answers(runner, folder, manifest, rows)]
    columns = [np.stack(column) for column in zip(*answers, strict=True)]
    return [real(column, spec) for column, spec in zip(columns, manifest["outputs"], strict=True)]


def _greatest(answers: Any, first: int) -> Any:
    flat = answers.reshape(len(answers), -1)[:, first:]
    return np.where(np.isfinite(flat).all(axis=1), flat.argmax(axis=1), -1)
