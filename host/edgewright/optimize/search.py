"""Climbs the ladder for a request, and says what was left out, and which candidates no other one beats."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgewright.compile.formats import target_for, targets_of
from edgewright.compile.workers.pool import Workers
from edgewright.compress.frameworks import FRAMEWORKS, cuts_channels, trains
from edgewright.errors import UsageError
from edgewright.measure.search.engine import Limits, SearchResult, Trial, search
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import Absent
from edgewright.nouns.progress import Progress
from edgewright.optimize.candidates import Candidates, Measure
from edgewright.optimize.ladder import Choices, Kind, moves
from edgewright.optimize.request import OptimizeRequest
from edgewright.precisions import EXACT, INT8, PRECISIONS

TARGETS = 2  # of a profile's, from the first: others are tried by name, with --target


class Optimized(Noun, frozen=True, kw_only=True):
    """The result.

    Attributes:
        front: labels of the candidates that no other one beats in size and drop; a drop beats another if their intervals do not overlap.
        untried: what was left out and why, a sentence each.
    """

    result: SearchResult
    front: tuple[str, ...]
    untried: tuple[str, ...]


def optimize(
    request: OptimizeRequest,
    limits: Limits,
    workers: Workers,
    progress: Progress,
    *,
    epochs: int,
    measure: Measure | None,
) -> tuple[Optimized, Candidates]:
    """Climbs the ladder until the budget holds.

    Returns:
        The result, and the candidates with their artifacts.

    Raises:
        EdgewrightError: the model or the data cannot be used.
    """
    choices, untried = planned(request, epochs)
    with tempfile.TemporaryDirectory() as folder:
        workers.may_read([Path(folder)])
        candidates = Candidates(request, workers, Path(folder), progress, measure)
        found = search(moves(choices), candidates, limits, progress)
    return Optimized(result=found, front=front(found.trials), untried=untried), candidates


def planned(request: OptimizeRequest, epochs: int) -> tuple[Choices, tuple[str, ...]]:
    """What the ladder may use, and what is left out and why.

    Args:
        epochs: of each step that trains.

    Raises:
        UsageError: nothing can be tried.
    """
    kinds, left_out = _kinds(request)
    untried = [*request.untried, *left_out]
    trainable = trains(request.format)
    if not trainable:
        untried.append("training: give the Keras file or the PyTorch function that the model was made from")
    elif request.training is None:
        untried.append("training: give labelled data with --data")
    elif not cuts_channels(request.format):
        untried.append("fewer channels: give the function that builds the module, module.py:function")
    if not kinds:
        raise UsageError("there is nothing to try", hint="; ".join(untried))
    training = trainable and request.training is not None
    label_free = request.format in FRAMEWORKS and request.inputs is not None
    channels = cuts_channels(request.format)
    return Choices(
        kinds=kinds, label_free=label_free, training=training, channels=channels, epochs=epochs
    ), tuple(untried)


def _kinds(request: OptimizeRequest) -> tuple[tuple[Kind, ...], list[str]]:
    """Targets and precisions, the most exact first, and what is left out."""
    wanted, profile = request.wanted, request.profile
    possible = [name for name in profile.targets if name in targets_of(request.format)]
    chosen = [wanted.target] if wanted.target else possible[:TARGETS]
    untried = [f"target {name}: name it with --target" for name in possible if name not in chosen]
    data = not isinstance(wanted.model.calibration, Absent)
    kinds = []
    for name in chosen:
        offered = target_for(name, request.format).precisions_from(request.format)
        for precision in (wanted.precision,) if wanted.precision else _one_of_each_size():
            if precision not in offered:
                continue
            if PRECISIONS[precision].calibrated and not data:
                untried.append(f"{name} {precision}: give data with --calibration")
                continue
            kinds.append(Kind(target=name, precision=precision))
    kinds.sort(key=lambda kind: -PRECISIONS[kind.precision].cost)  # stable: the profile's first target first
    return tuple(kinds), untried


def _one_of_each_size() -> tuple[str, ...]:
    """Precisions of 32, 16 and 8 bits; the ones between are left to `convert --fallback`."""
    halves = [one.name for one in PRECISIONS.own() if one.half]
    return (EXACT.name, *halves, INT8.name)


def front(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Labels of the trials that no other one beats: smaller with a drop that is not clearly greater, or clearly less drop without being larger."""
    made = [trial for trial in trials if trial.verdict.artifact]
    return tuple(one.move.label for one in made if not any(_beats(other, one) for other in made))


def _beats(one: Trial, other: Trial) -> bool:
    ours, theirs = one.verdict.figures, other.verdict.figures
    size, their_size = ours["size_mb"] or 0.0, theirs["size_mb"] or 0.0
    better, worse = _clearly(ours, theirs), _clearly(theirs, ours)
    return not worse and size <= their_size and (better or size < their_size)


def _clearly(less: dict[str, float | None], more: dict[str, float | None]) -> bool:
    """Whether the drop of one is clearly less than that of another."""
    high, low = less.get("drop_high"), more.get("drop_low")
    return high is not None and low is not None and high < low
