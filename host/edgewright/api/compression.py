"""compress: makes a network smaller by a recipe, and writes a file that `convert` and `deploy` take."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from edgewright.api.arguments import StrPath
from edgewright.api.callbacks import guarded
from edgewright.api.models import model_request
from edgewright.compile.quality import metrics
from edgewright.compile.request import ModelRequest
from edgewright.compile.workers.pool import Workers
from edgewright.compress import onnx_output, pipeline, recipes
from edgewright.compress import output as output_file
from edgewright.compress.data_sets import Files
from edgewright.compress.frameworks import of_format
from edgewright.compress.request import Compressed, CompressRequest
from edgewright.config import home
from edgewright.errors import UsageError
from edgewright.nouns.progress import NOTE, Progress, ProgressEvent
from edgewright.nouns.project import Project
from edgewright.nouns.recipe import Recipe


class Sets(NamedTuple):
    """Data for a compression: `.npz`, folder of images, or `module.py:function`; labelled, but for `training`.

    Attributes:
        training: to train with; without labels for steps that need none. Without `validation`, a tenth of it decides and is not trained
            with, if it has labels.
        validation: decides after each step and epoch.
        evaluation: looked at once, at the end; default: the project's.
    """

    training: StrPath | None = None
    validation: StrPath | None = None
    evaluation: StrPath | None = None


class WantedCompression(NamedTuple):
    """A compression that is checked but not begun.

    Attributes:
        output: the file to write, which does not exist yet.
        model: how the network would be converted.
    """

    request: CompressRequest
    output: Path
    model: ModelRequest


def wanted_of(
    model: StrPath | None,
    recipe: StrPath | Recipe,
    sets: Sets,
    *,
    output: StrPath | None = None,
    metric: str | None = None,
    score: str | int | None = None,
    project: StrPath | Project | None = None,
    trust_model: bool = False,
    use_cache: bool = True,
) -> WantedCompression:
    """A compression of a network, checked; nothing is trained yet.

    Args:
        model: `.keras`, `.h5`, `.pt2` or `.onnx` file, or `module.py:function`; None takes the project's.
        recipe: TOML file, or a recipe.
        output: new file: `.onnx`, or for a Keras source `.keras`, for a PyTorch source `.pt2`; default: the model's name with `-compressed`, in
            the working folder.
        metric, score, project, trust_model: as in `ModelOptions`.
        use_cache: take steps that were computed before from the same inputs, and continue an interrupted one.

    Raises:
        EdgewrightError: the model, the data or the recipe cannot be used.
    """
    asked = model_request(model, evaluation=sets.evaluation, project=project, trust_model=trust_model)
    given = asked.model
    metrics.check_name(metric or given.metric)
    request = CompressRequest(
        source=given.source,
        recipe=recipe if isinstance(recipe, Recipe) else recipes.load(Path(recipe)),
        files=Files(_path(sets.training), _path(sets.validation), given.evaluation, given.preprocessing),
        metric=metric or given.metric,
        score=given.score if score is None else str(score),
        trusted=bool(given.trusted),
        use_cache=use_cache,
    )
    found, _ = pipeline.checked(request)
    suffix = of_format(found.source.format, "").suffix
    name = request.source.name.partition(":")[0].rpartition(".")[0]
    file = Path(f"{name}-compressed{suffix}") if output is None else Path(output)
    _check_output(file, suffix)
    if file.suffix != suffix:
        onnx_output.check(request)
    return WantedCompression(request, file, asked)


def _check_output(file: Path, suffix: str) -> None:
    """Raises UsageError if the output cannot be written, or would replace a file."""
    if file.suffix not in (suffix, onnx_output.SUFFIX):
        kinds = " or ".join(sorted({suffix, onnx_output.SUFFIX}))
        raise UsageError(f"output is not a {kinds} file: {file}", hint=f"name it {file.stem}{suffix}")
    beside = [output_file.samples_beside(file)] if file.suffix == onnx_output.SUFFIX else []
    for there in filter(Path.exists, (file, *beside)):
        raise UsageError(
            f"there is something already: {there}", hint="name a file that does not exist yet: --output"
        )
    if not file.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {file.parent}", hint="create it, or name another file")


def run(wanted: WantedCompression, progress: Progress | None = None) -> Compressed:
    """Compresses the network; writes the output if a step was good.

    Args:
        progress: called with each event.

    Returns:
        What each step cost and bought. `why` is set if the recipe stopped early; the output is then of the last good step.

    Raises:
        EdgewrightError: the first step failed, or the output cannot be written.
    """
    report = guarded(progress)
    made: onnx_output.OnnxNetwork | None = None
    with Workers(home.folder("logs") / "compress.log", progress=report) as workers:
        if wanted.output.suffix == onnx_output.SUFFIX:
            workers.may_read(onnx_output.readable(wanted.request))
        found = pipeline.compress(wanted.request, workers, report)
        if found.good > 1 and found.networks[-1].file.suffix != wanted.output.suffix:
            made = onnx_output.converted(found, wanted.request, workers, report)
    notes = (*found.notes, *(() if made is None else made.notes), *_samples_notes(found, wanted.output))
    for note in notes:
        report(ProgressEvent(stage=NOTE, detail=note))
    if found.good > 1:
        output_file.write(found, wanted.output, file=None if made is None else made.file)
    return msgspec.structs.replace(found, notes=notes)


def _samples_notes(found: Compressed, output: Path) -> tuple[str, ...]:
    """Says what an ONNX file does not hold."""
    if found.good < 2 or found.networks[-1].calibration is None or output.suffix != onnx_output.SUFFIX:
        return ()
    beside = output_file.samples_beside(output)
    return (f"an ONNX file holds no samples: convert it to int8 with --calibration {beside}",)


def compress_model(
    model: StrPath | None,
    recipe: StrPath | Recipe,
    *,
    data: StrPath | None = None,
    validation: StrPath | None = None,
    evaluation: StrPath | None = None,
    output: StrPath | None = None,
    metric: str | None = None,
    score: str | int | None = None,
    project: StrPath | Project | None = None,
    trust_model: bool = False,
    use_cache: bool = True,
    progress: Progress | None = None,
) -> Compressed:
    """Compresses a network and writes the output: `wanted_of` and `run` in one call.

    Args:
        data, validation, evaluation: the `Sets`.

    Raises:
        EdgewrightError: as those two.
    """
    wanted = wanted_of(
        model, recipe, Sets(data, validation, evaluation), output=output, metric=metric, score=score, project=project,
        trust_model=trust_model, use_cache=use_cache,
    )  # fmt: skip
    return run(wanted, progress)


def _path(given: StrPath | None) -> Path | None:
    return None if given is None else Path(given)
