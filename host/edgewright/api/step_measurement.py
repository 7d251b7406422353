"""Measures the networks of a compression on boards: what each step bought there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from edgewright.api.benchmark import bench
from edgewright.api.callbacks import guarded
from edgewright.api.fleets import Fleet
from edgewright.compile.data.data_hash import calibration_in, calibration_of
from edgewright.compile.recognition import recognise
from edgewright.compile.request import ModelRequest
from edgewright.compile.workers.pool import Workers
from edgewright.compress import output
from edgewright.compress.request import Compressed
from edgewright.config import home
from edgewright.deployments.artifacts import compile_request, recipe_of
from edgewright.deployments.runtime_caps import compile_for
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.compression import MeasuredStep
from edgewright.nouns.document import ErrorReport, report
from edgewright.nouns.measurement import QUICK, Measurement
from edgewright.nouns.model_input import Absent
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress
from edgewright.wire.transport import AskPassword


class StepsOnBoards(msgspec.Struct, frozen=True, kw_only=True):
    """What boards measured.

    Attributes:
        steps: one for each network that could be compiled.
        failed: a step in words, or a board's name -> why it is missing.
    """

    steps: tuple[MeasuredStep, ...] = ()
    failed: dict[str, ErrorReport] = {}


def measure(
    found: Compressed,
    wanted: ModelRequest,
    profile: Profile,
    boards: Fleet,
    *,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
) -> StepsOnBoards:
    """Measures the original and the network after each good step, interleaved on each board.

    Args:
        wanted: how the original would be converted; a network that holds calibration samples is calibrated with those.
        profile: that they are compiled for.
    """
    made, failed = _artifacts(found, wanted, profile, guarded(progress))
    if not made:
        return StepsOnBoards(failed=failed)
    distinct = list({artifact.id: artifact for artifact in made.values()}.values())
    answers = bench(boards, distinct, protocol=QUICK, ask_password=ask_password, progress=progress).boards
    measured: dict[str, list[Measurement]] = {}
    for answer in answers:
        if answer.error is not None:
            failed[answer.board] = answer.error
        for one in answer.result.measurements if answer.result else ():
            measured.setdefault(one.artifact, []).append(one)
    steps = tuple(
        MeasuredStep(shown=shown, artifact=artifact.id, measurements=tuple(measured.get(artifact.id, ())))
        for shown, artifact in made.items()
    )
    return StepsOnBoards(steps=steps, failed=failed)


def _artifacts(
    found: Compressed, wanted: ModelRequest, profile: Profile, progress: Progress
) -> tuple[dict[str, Artifact], dict[str, ErrorReport]]:
    """Artifacts of the networks, and why others could not be made, by the steps in words."""
    made: dict[str, Artifact] = {}
    failed: dict[str, ErrorReport] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Workers(home.folder("logs") / "convert.log", progress=progress) as workers,
    ):
        workers.may_read([Path(folder)])
        for index, network in enumerate(found.networks):
            file = Path(folder) / f"{index}{network.file.suffix}"
            output.write(found, file, index)
            try:
                made[_named(found, index)] = _converted(file, wanted, profile, progress, workers)
            except EdgewrightError as error:
                failed[_named(found, index)] = report(error)
    return made, failed


def _named(found: Compressed, index: int) -> str:
    """A step in words; a later one that reads the same has its number too."""
    shown = [step.shown for step in found.steps]
    return shown[index] if shown.index(shown[index]) == index else f"{shown[index]} ({index})"


def _converted(
    file: Path, wanted: ModelRequest, profile: Profile, progress: Progress, workers: Workers
) -> Artifact:
    data = wanted.model.calibration
    if isinstance(data, Absent) or getattr(data, "from_model", None) is True:
        beside = output.samples_beside(file)
        data = calibration_of(beside) if beside.is_file() else calibration_in(file)
    model = msgspec.structs.replace(
        wanted.model, source=file, calibration=data, evaluation=None, trusted=msgspec.UNSET
    )
    request = msgspec.structs.replace(wanted, model=model)
    recipe = recipe_of(request, profile, recognise(file).source.format)
    artifact, _ = compile_for(profile, compile_request(request, recipe), progress, workers)
    return artifact
