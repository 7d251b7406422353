"""Merges command-line options with the project file, for convert and deploy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.cli import options
from edgewright.errors import Code, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT, is_own
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.project import Compare, Project

if TYPE_CHECKING:
    from edgewright.compile.request import ModelRequest

ARTIFACT_ID = re.compile(r"[0-9a-f]{8,64}\Z")  # an id, or enough of its beginning


class ModelOptions(Noun, frozen=True, kw_only=True):
    """The options that `convert` and `deploy` share, as they were typed; named as the parameters of the commands."""

    target: str | None = None
    precision: str | None = None
    calibration: str | None = None
    evaluation: Path | None = None
    metric: str | None = None
    score: str | None = None
    input_shape: list[str] | None = None
    inputs: str | None = None
    outputs: str | None = None
    signature: str | None = None
    keep_float: list[str] | None = None
    calibration_method: str | None = None
    integer_io: bool | None = None
    allow_constant: bool = False
    no_cache: bool = False

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> ModelOptions:
        """Those among a command's arguments, `locals()`; a command without one of them is a KeyError."""
        return cls(**{name: arguments[name] for name in cls.__struct_fields__})


def load_project(given: Path | None) -> Project | None:
    """The project file that was named, or the working folder's when there is one."""
    from edgewright.config import project

    if given is not None:
        return project.load(given)
    here = Path(project.FILE_NAME)
    return project.load(here) if here.exists() else None


def model_request(
    model: Path | None, project: Project | None, given: ModelOptions, name: str | None = None
) -> ModelRequest:
    """Puts both together; a model that is named takes the place of the project's, all else of the project holds.

    Raises:
        UsageError: neither names a model.
        DataError: there are no such calibration data.
    """
    from edgewright.cli.model_name import slug
    from edgewright.compile.data.data_hash import calibration_of
    from edgewright.compile.request import ModelRequest

    if model is None and project is None:
        raise UsageError("no model", hint="name one, or write a project file: `edgewright init MODEL`")
    file = project.file if project else None
    path = model or (project.resolve(project.file.model) if project else None)
    assert path is not None  # noqa: S101 - one of the two was given
    data: Path | str | None = given.calibration
    if data is None and project is not None and file is not None:
        data = project.resolve(file.calibration)
    wanted = ModelInput(
        source=path,
        name=name or (file.name if file else slug(path.stem)),
        shapes=options.input_shapes(given.input_shape) or (file.inputs if file else {}),
        conversion=conversion_of(given, file.conversion if file else Conversion()),
        calibration=calibration_of(data),
        evaluation=given.evaluation or (project.resolve(file.evaluation) if project and file else None),
        preprocessing=file.preprocessing if file else None,
        compare=compare_of(project),
        labels=project.resolve(file.labels) if project and file else None,
        metric=metric_of(given.metric, project),
        score=score_of(given.score, project, given.evaluation),
        allow_constant=given.allow_constant,
    )
    return ModelRequest(
        model=wanted,
        project=project,
        target=given.target,
        precision=given.precision,
        use_cache=not given.no_cache,
    )


def conversion_of(given: ModelOptions, base: Conversion) -> Conversion:
    """The project's choices with those of the command line in their place."""
    typed = options.conversion(
        given.inputs, given.outputs, given.keep_float, given.calibration_method, given.integer_io, given.signature,
    )  # fmt: skip
    return msgspec.structs.replace(base, **typed)


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


def artifact_request(
    artifact: Artifact, project: Project | None, given: ModelOptions, name: str | None
) -> ModelRequest:
    """An artifact's name and data from the command line and the project; the rest is in its manifest."""
    from edgewright.compile.request import ModelRequest

    file = project.file if project else None
    wanted = ModelInput(
        source=artifact.folder,
        name=name or (file.name if file else "model"),
        evaluation=given.evaluation or (project.resolve(file.evaluation) if project and file else None),
        preprocessing=artifact.manifest.preprocessing,
        compare=compare_of(project),
        metric=metric_of(given.metric, project),
        score=score_of(given.score, project, given.evaluation),
    )
    return ModelRequest(
        model=wanted,
        project=project,
        target=given.target,
        precision=given.precision,
        use_cache=not given.no_cache,
    )
