"""Merges command-line options with the project file, for convert and deploy."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from edgewright.errors import Code, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT, is_own
from edgewright.nouns.project import Compare, Preprocessing, Project

ARTIFACT_ID = re.compile(r"[0-9a-f]{8,64}\Z")  # an id, or enough of its beginning


class SourceChoice(Noun, frozen=True, kw_only=True):
    """The model and its data: the command line's word, else the project file's."""

    model: Path
    name: str
    project: Project | None
    inputs: dict[str, tuple[int, ...]]
    conversion: Conversion
    calibration: Path | str | None
    evaluation: Path | None
    preprocessing: Preprocessing | None
    compare: Compare
    labels: Path | None
    metric: str
    score: str | None
    precision: str | None


def load_project(given: Path | None) -> Project | None:
    """The project file that was named, or the working folder's when there is one."""
    from edgewright.config import project

    if given is not None:
        return project.load(given)
    here = Path(project.FILE_NAME)
    return project.load(here) if here.exists() else None


def choose(
    model: Path | None,
    project: Project | None,
    *,
    name: str | None = None,
    inputs: dict[str, tuple[int, ...]],
    conversion: dict[str, object],
    calibration: str | None,
    evaluation: Path | None,
    metric: str | None = None,
    score: str | None = None,
    precision: str | None,
) -> SourceChoice:
    """Puts both together; a model that is named takes the place of the project's, all else of the project holds.

    Raises:
        UsageError: neither names a model.
    """
    from edgewright.cli.init_command import slug

    if model is None and project is None:
        raise UsageError("no model", hint="name one, or write a project file: `edgewright init MODEL`")
    file = project.file if project else None
    path = model or (project.resolve(project.file.model) if project else None)
    assert path is not None  # noqa: S101 - one of the two was given
    data: Path | str | None = None
    if calibration is not None:
        data = calibration if calibration == "synthetic" else Path(calibration)
    elif project is not None and file is not None:
        data = project.resolve(file.calibration)
    return SourceChoice(
        model=path,
        name=name or (file.name if file else slug(path.stem)),
        project=project,
        inputs=inputs or (file.inputs if file else {}),
        conversion=msgspec.structs.replace(file.conversion if file else Conversion(), **conversion),
        calibration=data,
        evaluation=evaluation or (project.resolve(file.evaluation) if project and file else None),
        preprocessing=file.preprocessing if file else None,
        compare=compare_of(project),
        labels=project.resolve(file.labels) if project and file else None,
        metric=metric_of(metric, project),
        score=score_of(score, project, evaluation),
        precision=precision,
    )


def metric_of(given: str | None, project: Project | None) -> str:
    """The metric: the command line's, else the project's (a file beside it), else top1."""
    if given is not None or project is None:
        return given or DEFAULT
    name = project.file.metric
    return str(project.resolve(name)) if is_own(name) else name


def score_of(given: str | None, project: Project | None, evaluation: Path | None) -> str | None:
    """The output that is scored: the command line's, else the project's.

    Raises:
        UsageError: the command line names one, and there is nothing to score by.
    """
    if given is None:
        known = project.file.score if project else None
        return None if known is None else str(known)
    if evaluation is None and (project is None or project.file.evaluation is None):
        raise UsageError(
            "--score names an output to score, and there is no evaluation set",
            hint="give --evaluation FILE, or leave --score out",
            code=Code.EVALUATION_MISSING,
        )
    return given


def compare_of(project: Project | None) -> Compare:
    """What the project compares: its function in a file beside it."""
    if project is None:
        return Compare()
    found = project.file.compare
    path = project.resolve(found.function)
    return found if path is None else msgspec.structs.replace(found, function=str(path))


def find_artifact(text: str) -> Artifact | None:
    """The artifact that a word names: a folder with a manifest, or an id of the store; None for anything else."""
    from edgewright.config import home
    from edgewright.store import artifacts

    path = Path(text)
    if path.is_dir() and (path / "manifest.json").is_file():
        return artifacts.load(path)
    if ARTIFACT_ID.match(text) and not path.exists():
        return artifacts.ArtifactStore(home.folder("artifacts")).get(text)
    return None


def for_artifact(
    artifact: Artifact,
    project: Project | None,
    name: str | None,
    evaluation: Path | None,
    metric: str | None = None,
    score: str | None = None,
) -> SourceChoice:
    """An artifact's name, data and hooks from the command line and the project; the rest is in its manifest."""
    file = project.file if project else None
    return SourceChoice(
        model=artifact.folder,
        name=name or (file.name if file else "model"),
        project=project,
        inputs={},
        conversion=Conversion(),
        calibration=None,
        evaluation=evaluation or (project.resolve(file.evaluation) if project and file else None),
        preprocessing=artifact.manifest.preprocessing,
        compare=compare_of(project),
        labels=None,
        metric=metric_of(metric, project),
        score=score_of(score, project, evaluation),
        precision=None,
    )
