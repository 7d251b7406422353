"""The search engine: a preset proposes moves; the engine has each of them judged, keeps the best, and reports why it stopped.

A preset is a generator: it yields a move, is sent the resulting trial, and ends when it has no more moves to propose.
Given the same verdicts it proposes the same moves, so an interrupted search resumes where it was, as long as
the judge caches its results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import msgspec

from edgewright.nouns.base import Noun
from edgewright.nouns.progress import Progress, ProgressEvent, silent

SATISFIED, EXHAUSTED, TRIALS, TIME, STOPPED = (
    "a candidate meets the limit",
    "nothing is left to try",
    "all trials are used up",
    "the time is used up",
    "stopped by the user",
)


class Move(Noun, frozen=True, kw_only=True):
    """One thing to try.

    Attributes:
        label: for people, unique within a search.
        settings: the changes, as plain values.
    """

    label: str
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


class Verdict(Noun, frozen=True, kw_only=True):
    """The result of judging a move.

    Attributes:
        ok: it meets the limit.
        rank: greater is better, compared from the left; only compared between candidates with the same `ok`.
        figures: name -> value; None for an unknown one.
        artifact: id of the artifact; empty if none was made.
        why: why it is not ok.
        code: of the error, if there was one.
    """

    ok: bool
    rank: tuple[float, ...] = ()
    figures: dict[str, float | None] = msgspec.field(default_factory=dict)
    artifact: str = ""
    why: str = ""
    code: str = ""


class Trial(Noun, frozen=True, kw_only=True):
    """A move, its verdict, and how long it took."""

    move: Move
    verdict: Verdict
    seconds: float


class Limits(Noun, frozen=True, kw_only=True):
    """How much a search may take: trials, and seconds; None for no limit. A trial that has begun is finished."""

    trials: int | None = None
    seconds: float | None = None


class SearchResult(Noun, frozen=True, kw_only=True):
    """The result of a search.

    Attributes:
        best: the best candidate, the earliest among equals; None if no artifact could be made.
        trials: all of them, in order.
        stopped: why it ended.
    """

    best: Trial | None
    trials: tuple[Trial, ...]
    stopped: str


Preset = Generator[Move, Trial, None]


def search(
    preset: Preset, judge: Callable[[Move], Verdict], limits: Limits, progress: Progress = silent
) -> SearchResult:
    """Runs a search to its end. Ctrl-C ends it early: the result is what was found so far.

    Raises:
        EdgewrightError: raised by `judge`; a move that merely fails is a verdict, not an error.
    """
    began = time.monotonic()
    trials: list[Trial] = []
    stopped = EXHAUSTED
    try:
        move = next(preset, None)
        while move is not None:
            over = _limit_reached(limits, len(trials), time.monotonic() - began)
            if over:
                stopped = over
                break
            progress(ProgressEvent(stage="try", detail=f"{len(trials) + 1}: {move.label}"))
            started = time.monotonic()
            verdict = judge(move)
            trials.append(Trial(move=move, verdict=verdict, seconds=time.monotonic() - started))
            move = _next(preset, trials[-1])
    except KeyboardInterrupt:
        stopped = STOPPED
    finally:
        preset.close()
    best = _best(trials)
    if stopped == EXHAUSTED and best is not None and best.verdict.ok:
        stopped = SATISFIED
    return SearchResult(best=best, trials=tuple(trials), stopped=stopped)


def _limit_reached(limits: Limits, trials: int, seconds: float) -> str:
    """Which limit has been reached; empty if none."""
    if limits.trials is not None and trials >= limits.trials:
        return TRIALS
    return TIME if limits.seconds is not None and seconds >= limits.seconds else ""


def _next(preset: Preset, trial: Trial) -> Move | None:
    try:
        return preset.send(trial)
    except StopIteration:
        return None


def _best(trials: list[Trial]) -> Trial | None:
    candidates = [trial for trial in trials if trial.verdict.artifact]
    return max(candidates, key=lambda trial: (trial.verdict.ok, trial.verdict.rank), default=None)
