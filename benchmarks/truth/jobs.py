"""What runs in edgewright's workers: an artifact's answers, as arrays."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compile.data import goldens
from edgewright.compile.data.answers import real
from edgewright.compile.tasks.source import SourceRef, artifact_answers, opened
from truth.decide import Decide, decisions


@lru_cache(maxsize=1)
def _inputs(file: Path) -> list[tuple[Any, ...]]:
    with np.load(file) as archive:
        return list(zip(*(archive[f"input_{at}"] for at in range(len(archive.files))), strict=True))


def golden_answers(runner: str, folder: Path, manifest: dict[str, Any], file: Path) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """(references, answers): real values, one array an output, over all goldens."""
    inputs, references = goldens.load(file, len(manifest["inputs"]), len(manifest["outputs"]))
    return references, _stacked(runner, folder, manifest, list(zip(*inputs, strict=True)))


def decided(
    runner: str, folder: Path, manifest: dict[str, Any], file: Path, how: tuple[Decide, ...]
) -> list[Any]:
    """The artifact's decisions about the samples of an `.npz`."""
    return decisions(_stacked(runner, folder, manifest, _inputs(file)), how)


def source_decided(source: SourceRef, file: Path, how: tuple[Decide, ...]) -> list[Any]:
    """The same by the source."""
    model = opened(source)
    rows = [[answer.copy() for answer in model.run(list(row))] for row in _inputs(file)]
    return decisions([np.stack(column) for column in zip(*rows, strict=True)], how)


def _stacked(runner: str, folder: Path, manifest: dict[str, Any], rows: Any) -> list[Any]:
    found = artifact_answers(runner, folder, manifest, ([*row] for row in rows))
    answers = [[array.copy() for array in row] for row in found]
    columns = [np.stack(column) for column in zip(*answers, strict=True)]
    return [real(column, spec) for column, spec in zip(columns, manifest["outputs"], strict=True)]
