"""The jobs that run in edgewright's workers: they return outputs of an artifact and of its source, as arrays."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgewright.compile.data import goldens
from edgewright.compile.data.answers import real
from edgewright.compile.quality.verdict.steps import steps
from edgewright.compile.tasks.source import SourceRef, artifact_answers, opened
from edgewright.nouns.artifact import TensorSpec
from truth.decide import Decide, decisions


@lru_cache(maxsize=2)
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


def recorded(
    runner: str, folder: Path, manifest: dict[str, Any], file: Path, module: str | None, evaluation: Path,
    how: tuple[Decide, ...],
) -> tuple[list[Any], list[Any], list[Any]]:  # fmt: skip
    """(the artifact's answers to the samples of `file`, raw, its steps, its decisions about those of `evaluation`)."""
    asked = _inputs(file)
    rows = ([*row] for row in chain(asked, _inputs(evaluation)))
    found = [[array.copy() for array in row] for row in artifact_answers(runner, folder, manifest, rows)]
    columns = [np.stack(column) for column in zip(*found, strict=True)]
    count, outputs = len(asked), manifest["outputs"]
    others = [real(column[count:], spec) for column, spec in zip(columns, outputs, strict=True)]
    specs = msgspec.convert(outputs, tuple[TensorSpec, ...])
    places = steps(module, folder / manifest["entry"], specs)
    return [column[:count] for column in columns], places, decisions(others, how)


def source_answers(source: SourceRef, file: Path) -> list[Any]:
    """The source's answers, raw, one array an output."""
    model = opened(source)
    rows = [[answer.copy() for answer in model.run(list(row))] for row in _inputs(file)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


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
