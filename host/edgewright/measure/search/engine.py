"""The search engine: a preset proposes moves, the engine has each judged, keeps the best, and says why it stopped.

A preset is a generator: it yields a move, is sent the trial that came of it, and ends when it has no more to propose.
With the same verdicts it proposes the same moves, so a search that was cut short goes on where it was, as long as
judging remembers what it found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import msgspec

from edgewright.nouns.base import Noun
from edgewright.nouns.progress import Progress, Step, silent

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
        label: for a person, each once in a search.
        settings: what it changes, plain values.
    """

    label: str
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


class Verdict(Noun, frozen=True, kw_only=True):
    """What judging a move found.

    Attributes:
        ok: it meets the limit.
        rank: greater is better, compared from the left; those that are ok are compared with each other only.
        figures: name -> value; None for what was not found.
        artifact: id of what was made; empty for nothing.
        why: why it is not ok. code: of the error, where it was one.
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
    """How much a search may take: trials, and seconds; None for no limit. A trial that was begun is finished."""

    trials: int | None = None
    seconds: float | None = None


class SearchResult(Noun, frozen=True, kw_only=True):
    """What a search found.

    Attributes:
        best: the best candidate, the earliest of equals; None when nothing could be made.
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
    """Runs a search to its end. Ctrl-C ends it too: what was found until then is the result.

    Raises:
        EdgewrightError: what `judge` raises; a move that merely fails is a verdict, not an error.
    """
    began = time.monotonic()
    trials: list[Trial] = []
    stopped = EXHAUSTED
    try:
        move = next(preset, None)
        while move is not None:
            over = _over(limits, len(trials), time.monotonic() - began)
            if over:
                stopped = over
                break
            progress(Step(what="try", detail=f"{len(trials) + 1}: {move.label}"))
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


def _over(limits: Limits, trials: int, seconds: float) -> str:
    """Which limit is reached; empty for none."""
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
