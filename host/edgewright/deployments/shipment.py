"""Shipment: what a plan sends, and how to send exactly the same files again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from edgewright.compile.data.data_hash import data_sha256
from edgewright.compile.quality.user_comparison import Similarity
from edgewright.compile.workers.pool import Workers
from edgewright.deployments import board_scoring
from edgewright.deployments.board_answers import function_of
from edgewright.deployments.board_scoring import Scoring
from edgewright.errors import Code, DataError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.deploy_plan import AttachedFile
from edgewright.nouns.metric import is_own
from edgewright.nouns.model_input import DataFile, ModelInput


class Shipment(NamedTuple):
    """An artifact, with the scoring and comparison of its outputs on boards.

    Attributes:
        similarity: the user's comparison of the goldens, if the artifact was made with one.
    """

    artifact: Artifact
    scoring: Scoring | None = None
    similarity: Similarity | None = None


def shipment_of(
    model: ModelInput, artifact: Artifact, workers: Workers | None, *, converted: bool, fresh: bool = False
) -> Shipment:
    """An artifact, with the scoring and comparison of its outputs on boards.

    Raises:
        DataError, UsageError: the evaluation set does not fit the artifact, or the user's comparison is not the one it was made with.
    """
    scored = board_scoring.prepared(model, artifact, workers, converted=converted, fresh=fresh)
    return Shipment(artifact, scored, function_of(model.compare, artifact))


def absolute(model: ModelInput) -> ModelInput:
    """The model with absolute paths: another run may start in another folder."""
    found, data = model.evaluation, model.calibration
    if isinstance(data, DataFile):
        data = msgspec.structs.replace(data, path=data.path.absolute())
    function = model.compare.function
    return msgspec.structs.replace(
        model,
        source=model.source.absolute(),
        evaluation=found.absolute() if found else None,
        labels=model.labels.absolute() if model.labels else None,
        calibration=data,
        metric=str(Path(model.metric).absolute()) if is_own(model.metric) else model.metric,
        compare=msgspec.structs.replace(
            model.compare, function=str(Path(function).absolute()) if function else None
        ),
    )


def attached(path: Path) -> AttachedFile:
    """A file on this machine with its hash.

    Raises:
        DataError: the file is missing or unreadable.
    """
    return AttachedFile(path=path.absolute(), sha256=data_sha256(path))


def check_unchanged(file: AttachedFile) -> None:
    """Raises DataError if a file of the plan is gone or was changed."""
    if data_sha256(file.path) != file.sha256:
        raise DataError(
            f"{file.path.name} was changed since the deployment began",
            hint="put it back and resume, or deploy again",
            code=Code.DATA_CHANGED,
        )
