"""convert: compiles a model to an artifact for a profile and verifies it against its source."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack

import msgspec

from edgewright.api.arguments import StrPath
from edgewright.api.callbacks import guarded
from edgewright.api.models import ModelOptions, model_request
from edgewright.compile import machine_code
from edgewright.compile.pipeline import plan
from edgewright.compile.recognition import recognise
from edgewright.compile.request import CompileRequest, ModelRequest, Plan
from edgewright.compile.workers.pool import Workers
from edgewright.config import home, profiles
from edgewright.deployments.artifacts import compile_request, default_note, recipe_of
from edgewright.deployments.runtime_caps import Reader, compile_for
from edgewright.errors import UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import NOTE, Progress, ProgressEvent

if TYPE_CHECKING:
    from edgewright.compile.explain import Explanation

PROFILE = "generic-x86_64"


class Wanted(NamedTuple):
    """A conversion that is checked but not begun.

    Attributes:
        profile: the kind of board to convert for.
        default: no precision was requested.
    """

    request: CompileRequest
    profile: Profile
    default: bool = False

    def notes(self, target: str, taken: str) -> tuple[str, ...]:
        """Why the profile's precision was not used, if none was requested and the profile's needs something that is missing."""
        note = default_note(self.request.model, self.profile, target, taken) if self.default else ""
        return (note,) if note else ()


class Converted(NamedTuple):
    """The result of a conversion.

    Attributes:
        explanation: set if it was requested.
        notes: lines for people: the choices that were made, and the runtimes that cannot read the artifact. Also sent as events.
    """

    artifact: Artifact
    explanation: Explanation | None = None
    notes: tuple[str, ...] = ()


def convert(
    model: StrPath | ModelRequest | None = None,
    *,
    profile: str = PROFILE,
    max_drop: float | None = None,
    output: StrPath | None = None,
    progress: Progress | None = None,
    **options: Unpack[ModelOptions],
) -> Artifact:
    """Compiles a model for a kind of board and compares its outputs with the source's.

    An artifact that was made from the same inputs before comes from the cache.

    Args:
        model: model file, SavedModel folder or `module.py:function`; None takes the project's. A `ModelRequest` already has the options.
        profile: kind of board.
        max_drop: how much accuracy may fall, or an error rise, as a fraction; needs an evaluation set.
        output: a new folder for a copy of the artifact; it must not exist yet.
        progress: called with each event.
        options: see `ModelOptions`.

    Returns:
        The artifact; with `output`, the copy.

    Raises:
        EdgewrightError: the model, the data or the options cannot be used, or the artifact's outputs do not match the source's.
    """
    wanted = wanted_of(model, options, profile=profile, max_drop=max_drop, output=output, progress=progress)
    return copied(run(wanted, progress=progress).artifact, output)


def wanted_of(
    model: StrPath | ModelRequest | None,
    options: ModelOptions,
    *,
    profile: str = PROFILE,
    max_drop: float | None = None,
    output: StrPath | None = None,
    progress: Progress | None = None,
) -> Wanted:
    """What `convert` compiles; converts nothing yet. Takes the same arguments and raises the same errors."""
    kind = profiles.load(profile)
    wanted = requested(model, options)
    if output is not None and Path(output).exists():
        raise UsageError(
            f"there is something already: {output}", hint="name a folder that does not exist yet"
        )
    found = recognise(wanted.model.source, trusted=bool(wanted.model.trusted))
    for fault in found.faults:
        guarded(progress)(ProgressEvent(stage=NOTE, detail=fault))
    if max_drop is None and wanted.model.evaluation is not None:
        max_drop = wanted.budget_of(kind).max_drop
    recipe = recipe_of(wanted, kind, found.source.format)
    request = msgspec.structs.replace(compile_request(wanted, recipe), max_drop=max_drop)
    return Wanted(request, kind, default=wanted.precision_of(kind) is None)


def requested(model: StrPath | ModelRequest | None, options: ModelOptions) -> ModelRequest:
    """The request for a model and its options; a `ModelRequest` is returned unchanged.

    Raises:
        TypeError: options were given with a `ModelRequest`.
    """
    if not isinstance(model, ModelRequest):
        return model_request(model, **options)
    if options:
        raise TypeError(f"a ModelRequest has its options already: {', '.join(sorted(options))}")
    return model


def planned(wanted: Wanted) -> tuple[Plan, tuple[str, ...]]:
    """The plan of a conversion, and notes on the choices that it would make."""
    from edgewright.compile.open_inputs import decided

    found = plan(wanted.request)
    notes = decided(wanted.request, found.source.format)
    return found, (*notes, *wanted.notes(found.target, found.precision))


def run(wanted: Wanted, *, explained: bool = False, progress: Progress | None = None) -> Converted:
    """Converts the model, and reports what people should know about it as `note` events."""
    report = guarded(progress)
    with Workers(home.folder("logs") / "convert.log", progress=report) as workers:
        artifact, too_old = compile_for(wanted.profile, wanted.request, report, workers)
        explanation = _explained(wanted, artifact, workers) if explained else None
    chosen = wanted.notes(artifact.manifest.target, artifact.manifest.precision)
    notes = noted(report, (*chosen, *too_new(too_old, wanted.profile)))
    return Converted(artifact, explanation, notes)


def too_new(readers: Sequence[Reader], profile: Profile) -> tuple[str, ...]:
    """A line that names the profile's usual runtimes that cannot read an artifact; empty if all can."""
    titles = ", ".join(reader.title for reader in readers)
    return (f"too new for {titles} of {profile.name}",) if titles else ()


def noted(progress: Progress, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Sends each note as an event and returns the notes."""
    for note in notes:
        progress(ProgressEvent(stage=NOTE, detail=note))
    return notes


def _explained(wanted: Wanted, artifact: Artifact, workers: Workers) -> Explanation:
    from edgewright.compile.explain import explain

    return explain(wanted.request, artifact, workers)


def copied(artifact: Artifact, output: StrPath | None) -> Artifact:
    """The artifact, or its copy in a new folder."""
    if output is None:
        return artifact
    folder = Path(output)
    shutil.copytree(artifact.folder, folder, ignore=machine_code.left_here(artifact.folder))
    return msgspec.structs.replace(artifact, folder=folder)
