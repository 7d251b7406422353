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


def labels(runner: str, folder: Path, manifest: dict[str, Any], file: Path, count: int) -> Any:
    """The first output's greatest value for the first samples of an `.npy`; -1 where a value is not finite."""
    rows = ([row] for row in _inputs(file)[:count])
    return _greatest(_stacked(runner, folder, manifest, rows)[0])


def source_labels(source: SourceRef, file: Path, count: int) -> Any:
    """The same by the source."""
    model = opened(source)
    return _greatest(np.stack([model.run([row])[0].copy() for row in _inputs(file)[:count]]))


def _stacked(runner: str, folder: Path, manifest: dict[str, Any], rows: Any) -> list[Any]:
    answers = [[array.copy() for array in row] for row in artifact_answers(runner, folder, manifest, rows)]
    columns = [np.stack(column) for column in zip(*answers, strict=True)]
    return [real(column, spec) for column, spec in zip(columns, manifest["outputs"], strict=True)]


def _greatest(answers: Any) -> Any:
    flat = answers.reshape(len(answers), -1)
    return np.where(np.isfinite(flat).all(axis=1), flat.argmax(axis=1), -1)
