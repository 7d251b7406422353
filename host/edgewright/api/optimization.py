"""optimize: makes a model fit a budget on a kind of board."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Unpack

import msgspec

from edgewright.api.arguments import StrPath
from edgewright.api.benchmark import bench
from edgewright.api.callbacks import guarded
from edgewright.api.conversion import PROFILE
from edgewright.api.fleets import Fleet
from edgewright.api.models import ModelOptions, model_request
from edgewright.compile.data.data_hash import calibration_of
from edgewright.compile.formats import FORMATS
from edgewright.compile.recognition import recognise
from edgewright.compile.workers import user_function
from edgewright.compile.workers.pool import Workers
from edgewright.compress.frameworks import FRAMEWORKS
from edgewright.config import home, profiles
from edgewright.errors import Aborted, BoardError, Code, ConversionError, UsageError
from edgewright.measure.search.engine import STOPPED, Limits
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.measurement import QUICK
from edgewright.nouns.model_input import Absent
from edgewright.nouns.optimization import OptimizeBudget
from edgewright.nouns.progress import Progress
from edgewright.optimize.candidates import Measure, NotMeasured
from edgewright.optimize.ladder import SHARES, move
from edgewright.optimize.limits import limits_of
from edgewright.optimize.request import OptimizeRequest
from edgewright.optimize.search import Optimized, optimize, planned
from edgewright.precisions import PRECISIONS
from edgewright.wire.transport import AskPassword

EPOCHS = 10  # of each step that trains


class OptimizedModel(NamedTuple):
    """The result of `optimize_model`.

    Attributes:
        artifact: of the best candidate. ok: it keeps the budget. stopped: the user stopped the search.
    """

    found: Optimized
    artifact: Artifact
    ok: bool
    stopped: bool


def wanted_of(
    model: StrPath | None,
    budget: OptimizeBudget | str,
    *,
    profile: str,
    training: StrPath | None = None,
    validation: StrPath | None = None,
    seed: int = 0,
    on_board: bool = False,
    **options: Unpack[ModelOptions],
) -> OptimizeRequest:
    """A request, checked; nothing is converted yet.

    Args:
        training: labelled data to train with; if they are a file or folder, they are calibration data too, unless others are given.
        validation: labelled data that decide while it trains; default: a tenth of `training`.
        on_board: there is a board that measures latency.
        budget: the limits; those that it does not name are the project's for this profile.
        options: as in `convert`; a drop needs an evaluation set.

    Raises:
        EdgewrightError: the model, the data or the budget cannot be used.
    """
    wanted = model_request(model, **options)
    board = profiles.load(profile)
    limits, untried = limits_of(
        budget, wanted.budget_of(board), on_board=on_board, evaluated=wanted.model.evaluation is not None
    )
    asked = wanted.precision_of(board)
    if asked is not None:
        PRECISIONS[asked]  # raises UsageError for an unknown one
        if wanted.precision is None:
            untried.append(f"other precisions: the project asks for {asked}; name another with --precision")
    wanted = msgspec.structs.replace(wanted, precision=asked)
    lent = (
        training is not None
        and isinstance(wanted.model.calibration, Absent)
        and user_function.named(Path(training)) is None
    )
    if lent and training is not None:
        given = msgspec.structs.replace(wanted.model, calibration=calibration_of(Path(training)))
        wanted = msgspec.structs.replace(wanted, model=given)
    if validation is not None and training is None:
        raise UsageError(
            "--validation decides while the network trains", hint="give --data too, or leave it out"
        )
    found = recognise(wanted.model.source, trusted=bool(wanted.model.trusted))
    if found.quantised:
        raise UsageError(
            f"{wanted.model.source.name} is quantised already", hint="start from the model it was made from"
        )
    if limits.macs is not None and found.source.format not in FRAMEWORKS:
        raise UsageError(
            f"multiplications of {FORMATS[found.source.format].title} are not counted",
            hint="leave macs out of the budget, or give the Keras file or the PyTorch function that it was made from",
        )
    return OptimizeRequest(
        wanted=wanted,
        format=found.source.format,
        profile=board,
        budget=limits,
        training=None if training is None else Path(training),
        deciding=None if validation is None else Path(validation),
        lent=lent,
        seed=seed,
        untried=tuple(untried),
    )


def plan(request: OptimizeRequest, epochs: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `run` would try, in order, unless something earlier keeps the budget; and what it leaves out and why."""
    choices, untried = planned(request, epochs)
    labels = [move(kind).label for kind in choices.kinds]
    if any(PRECISIONS[kind.precision].calibrated for kind in choices.kinds):
        if choices.label_free:
            labels.append("recovery of integers without labels, if only the accuracy is missing")
        if choices.training:
            labels.append("training for integers, if only the accuracy is missing")
    if choices.training and choices.channels:
        labels += [f"channels -{share:.0%}, and training" for share in SHARES]
        labels.append("recovery by distillation, if only the accuracy is missing")
    return tuple(labels), untried


def run(
    request: OptimizeRequest,
    limits: Limits,
    *,
    epochs: int,
    boards: Fleet | None = None,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
) -> OptimizedModel:
    """Searches until the budget holds.

    Args:
        epochs: of each step that trains.
        boards: where latency is measured: the slowest counts.

    Raises:
        ConversionError: no candidate could be made. Aborted: the user stopped it before there was one.
    """
    report = guarded(progress)
    measure: Measure | None = None
    if boards is not None and request.budget.p95_ms is not None:

        def measure(artifact: Artifact) -> float:
            return slowest(boards, artifact, ask_password, progress)

    with Workers(home.folder("logs") / "convert.log", progress=report) as workers:
        found, candidates = optimize(request, limits, workers, report, epochs=epochs, measure=measure)
    best, stopped = found.result.best, found.result.stopped == STOPPED
    if best is None and stopped:
        raise Aborted("stopped by the user before there was a candidate", hint="run it again to continue")
    if best is None:
        why = next((trial.verdict.why for trial in found.result.trials), "nothing could be tried")
        raise ConversionError(
            f"no candidate could be made: {why}",
            hint="; ".join([f"the search ended: {found.result.stopped}", *found.untried]),
            code=Code.SEARCH_NOTHING,
        )
    return OptimizedModel(found, candidates.artifacts[best.verdict.artifact], best.verdict.ok, stopped)


def optimize_model(
    model: StrPath | None,
    budget: OptimizeBudget | str = "",
    *,
    profile: str = PROFILE,
    data: StrPath | None = None,
    validation: StrPath | None = None,
    boards: Fleet | None = None,
    epochs: int = EPOCHS,
    seed: int = 0,
    max_trials: int | None = None,
    max_minutes: float | None = None,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
    **options: Unpack[ModelOptions],
) -> OptimizedModel:
    """Makes a model fit a budget: `wanted_of` and `run` in one call.

    Args:
        data, validation: as `training` and `validation` of `wanted_of`.
        max_trials, max_minutes: the search begins no candidate after this many, or this long.

    Raises:
        EdgewrightError: as those two.
    """
    request = wanted_of(
        model,
        budget,
        profile=profile,
        training=data,
        validation=validation,
        seed=seed,
        on_board=boards is not None,
        **options,
    )
    limits = Limits(trials=max_trials, seconds=None if max_minutes is None else 60 * max_minutes)
    return run(request, limits, epochs=epochs, boards=boards, ask_password=ask_password, progress=progress)


def slowest(
    boards: Fleet, artifact: Artifact, ask_password: AskPassword | None, progress: Progress | None
) -> float:
    """The greatest p95 over the boards, milliseconds.

    Raises:
        BoardError: a board failed, which ends the search. NotMeasured: its measurement of this artifact cannot be trusted.
    """
    found = []
    for answer in bench(
        boards, artifact, protocol=QUICK, ask_password=ask_password, progress=progress
    ).boards:
        if answer.error is not None and answer.error.code in (Code.ABORTED, Code.LEFT):
            raise KeyboardInterrupt  # the user's, which ends the search
        if answer.error is not None:
            raise BoardError(f"{answer.board}: {answer.error.message}", hint=answer.error.hint)
        for one in answer.result.measurements if answer.result else ():
            if one.invalid or one.latency.p95 is None:
                reason = "; ".join(one.invalid) or "there were too few samples"
                raise NotMeasured(
                    f"{answer.board}: no valid latency: {reason}", hint="measure it alone: `edgewright bench`"
                )
            found.append(one.latency.p95)
    return max(found)
