"""Combines a caller's model options with the project file. `convert` and `deploy` both get their request from here."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import msgspec
from msgspec import UNSET

from edgewright.api.arguments import StrPath, several
from edgewright.api.model_name import slug
from edgewright.compile.data.data_hash import calibration_in, calibration_of
from edgewright.compile.request import ModelRequest
from edgewright.config import home
from edgewright.config import project as projects
from edgewright.errors import ArtifactError, Code, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion, Ends
from edgewright.nouns.metric import DEFAULT, is_own
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.project import Compare, Project
from edgewright.store import artifacts

# options that affect the conversion, and their names on the command line
CONVERTING = {
    "target": "--target", "precision": "--precision", "calibration": "--calibration", "input_shapes": "--input-shape",
    "inputs": "--inputs", "outputs": "--outputs", "signature": "--signature", "keep_float": "--keep-float",
    "calibration_method": "--calibration-method", "integer_io": "--integer-io", "allow_constant": "--allow-constant",
    "cpu": "--cpu",
}  # fmt: skip
ARTIFACT_ID = re.compile(r"[0-9a-f]{8,64}\Z")  # an id, or a long enough prefix of one


class ModelOptions(TypedDict, total=False):
    """The options for a model and its conversion, in `convert` and in `plan`. For an option that is left out or None, the
    project file decides, then the profile of the board.

    Attributes:
        project: project file, `edgewright.toml`. It is read only if it is named here.
        name: the model's name on boards.
        target: runtime to compile to.
        precision: such as `fp32` or `int8`.
        cpu: LLVM's name of the CPU to compile for, such as `cortex-a72`, for targets that compile machine code.
        calibration: `.npz`, `.npy` or folder of images; the word `synthetic` for seeded random data.
        evaluation: labelled `.npz`, folder of labelled images, or `module.py:function`.
        metric: name of a metric, or `module.py:function`.
        score: output that is scored, by name or index.
        input_shapes: input name -> static shape, for inputs with dynamic axes.
        inputs, outputs: input and output tensors of a frozen TensorFlow graph.
        signature: function of a SavedModel or .tflite file.
        keep_float: names of layers that stay in floats, for `int8-mixed`.
        calibration_method: `minmax`, `entropy` or `percentile`.
        integer_io: whether inputs and outputs of an int8 model are integers too.
        allow_constant: accept a model that gives the same output for every test input.
        trust_model: open a model that contains code or reads files; it stays confined.
        use_cache: reuse an artifact that was made from the same inputs before.
    """

    project: StrPath | Project | None
    name: str | None
    target: str | None
    precision: str | None
    cpu: str | None
    calibration: StrPath | None
    evaluation: StrPath | None
    metric: str | None
    score: str | int | None
    input_shapes: Mapping[str, Sequence[int]] | None
    inputs: Sequence[str]
    outputs: Sequence[str]
    signature: str | None
    keep_float: Sequence[str]
    calibration_method: str | None
    integer_io: bool | None
    allow_constant: bool
    trust_model: bool
    use_cache: bool


def model_request(source: StrPath | Artifact | None = None, **options: Unpack[ModelOptions]) -> ModelRequest:
    """The request for a model and its options. A given source replaces the project's; the rest of the project still applies.

    Args:
        source: model file, SavedModel folder or `module.py:function`; an artifact is shipped unchanged.

    Raises:
        UsageError: neither the caller nor a project names a model. ConfigError: the project file is wrong.
        DataError: the calibration data do not exist.
        TypeError: there is no such option.
    """
    if unknown := sorted(set(options) - set(ModelOptions.__annotations__)):
        raise TypeError(f"no such option of a model: {', '.join(unknown)}")
    project = _project(options.get("project"))
    made = _of_artifact if isinstance(source, Artifact) else _of_source
    return ModelRequest(
        model=made(source, project, options),  # type: ignore[arg-type] # each function gets the kind of source that it takes
        project=project,
        target=options.get("target"),
        precision=options.get("precision"),
        cpu=options.get("cpu"),
        use_cache=options.get("use_cache", True),
    )


def load_artifact(name: StrPath) -> Artifact:
    """The artifact with this id or prefix of an id, or in a folder that `convert` made. Verifies its bytes.

    Raises:
        ArtifactError: there is no such artifact, or its bytes were changed.
    """
    found = find_artifact(str(name))
    if found is None:
        raise ArtifactError(
            f"no such artifact: {name}",
            hint="give an id, at least 8 digits of it, or a folder that convert made",
            code=Code.ARTIFACT_NOT_FOUND,
        )
    return found


def find_artifact(text: str) -> Artifact | None:
    """The artifact that a text names: a folder with a manifest, or an id in the store; None for anything else."""
    path = Path(text)
    if path.is_dir() and (path / "manifest.json").is_file():
        return artifacts.load(path)
    if ARTIFACT_ID.match(text) and not path.exists():
        return artifacts.ArtifactStore(home.folder("artifacts")).get(text)
    return None


def compare_of(project: Project | None) -> Compare:
    """The project's comparison; the path of its function is relative to the project file."""
    if project is None:
        return Compare()
    found = project.file.compare
    path = project.resolve(found.function)
    return found if path is None else msgspec.structs.replace(found, function=str(path))


def _project(given: StrPath | Project | None) -> Project | None:
    return given if given is None or isinstance(given, Project) else projects.load(Path(given))


def _of_source(source: StrPath | None, project: Project | None, options: ModelOptions) -> ModelInput:
    file = project.file if project else None
    given = project.resolve(project.file.model) if source is None and project else source
    if given is None:
        raise UsageError("no model", hint="name one, or write a project file: `edgewright init MODEL`")
    path = Path(given)
    data = options.get("calibration")
    if data is None and project is not None and file is not None:
        data = project.resolve(file.calibration)
    return ModelInput(
        source=path,
        name=options.get("name") or (file.name if file else slug(path.stem)),
        shapes=_shapes(options.get("input_shapes")) or (file.inputs if file else {}),
        conversion=_conversion(options, file.conversion if file else Conversion()),
        calibration=calibration_in(path)
        if data is None
        else calibration_of(data if isinstance(data, str) else Path(data)),
        evaluation=_evaluation(project, options),
        preprocessing=file.preprocessing if file else None,
        compare=compare_of(project),
        labels=project.resolve(file.labels) if project and file else None,
        metric=_metric(project, options),
        score=_score(project, options),
        allow_constant=options.get("allow_constant", False),
        trusted=options.get("trust_model") or UNSET,
    )


def _of_artifact(artifact: Artifact, project: Project | None, options: ModelOptions) -> ModelInput:
    """An artifact's name and data; the rest is in its manifest.

    Raises:
        UsageError: an option was given that applies only to a conversion.
    """
    _check_converted(artifact, options)
    return ModelInput(
        source=artifact.folder,
        name=options.get("name") or (project.file.name if project else "model"),
        evaluation=_evaluation(project, options),
        preprocessing=artifact.manifest.preprocessing,
        compare=compare_of(project),
        metric=_metric(project, options),
        score=_score(project, options),
    )


def _conversion(options: ModelOptions, base: Conversion) -> Conversion:
    """The project's conversion options, replaced by the caller's where given."""
    given: dict[str, object] = {}
    inputs, outputs = several(options.get("inputs")), several(options.get("outputs"))
    signature = options.get("signature")
    if inputs or outputs or signature:
        given["ends"] = Ends(inputs=inputs, outputs=outputs, signature=signature or "")
    if keep_float := several(options.get("keep_float")):
        given["keep_float"] = keep_float
    for name in ("calibration_method", "integer_io"):
        if options.get(name) is not None:
            given[name] = options.get(name)
    return msgspec.structs.replace(base, **given)


def _shapes(given: Mapping[str, Sequence[int]] | None) -> dict[str, tuple[int, ...]]:
    """The static shapes by input name.

    Raises:
        UsageError: a shape is empty, or a size is not positive.
    """
    found = {name: tuple(operator.index(size) for size in shape) for name, shape in (given or {}).items()}
    for name, shape in found.items():
        if not shape or min(shape) < 1:
            raise UsageError(
                f"not an input shape: {name}={shape}", hint="such as {'image': (1, 224, 224, 3)}"
            )
    return found


def _evaluation(project: Project | None, options: ModelOptions) -> Path | None:
    given = options.get("evaluation")
    if given:
        return Path(given)
    return project.resolve(project.file.evaluation) if project else None


def _metric(project: Project | None, options: ModelOptions) -> str:
    """The metric: the caller's, else the project's (its file relative to the project file), else the default.

    Raises:
        UsageError: the caller names one, but there is no evaluation set.
    """
    given = options.get("metric")
    if given is not None:
        _check_evaluated("--metric scores the answers", project, options)
        return given
    if project is None:
        return DEFAULT
    name = project.file.metric
    return str(project.resolve(name)) if is_own(name) else name


def _score(project: Project | None, options: ModelOptions) -> str | None:
    """The output to score: the caller's, else the project's.

    Raises:
        UsageError: the caller names one, but there is no evaluation set.
    """
    given = options.get("score")
    if given is None:
        known = project.file.score if project else None
        return None if known is None else str(known)
    _check_evaluated("--score names an output to score", project, options)
    return str(given)


def _check_evaluated(option: str, project: Project | None, options: ModelOptions) -> None:
    """Raises UsageError for a scoring option without an evaluation set. `option`: its name and what it does."""
    if _evaluation(project, options) is None:
        raise UsageError(
            f"{option}, and there is no evaluation set",
            hint=f"give --evaluation FILE, or leave {option.partition(' ')[0]} out",
            code=Code.EVALUATION_MISSING,
        )


def _check_converted(artifact: Artifact, options: ModelOptions) -> None:
    """Raises UsageError for options that would produce a different artifact."""
    manifest = artifact.manifest
    made = {
        "target": manifest.target,
        "precision": manifest.precision,
        "cpu": manifest.cpu and manifest.cpu.name,
    }
    given = {name: options.get(name) for name in CONVERTING}
    typed = [
        "--float-io" if name == "integer_io" and value is False else CONVERTING[name]
        for name, value in given.items()
        if (value or value == 0)
        and not (value is False and name == "allow_constant")
        and value != made.get(name)
    ]
    if typed:
        raise UsageError(
            f"{artifact.id[:12]} is an artifact, which is deployed as it is: {', '.join(typed)}",
            hint="deploy the model to convert it with these options, or leave them out",
        )
