"""The verdicts on a finished artifact: today's, the new one as a conversion comes to it, and a board's part of it."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgewright.compile import checking
from edgewright.compile.calibrate import SampleSet
from edgewright.compile.checking import Subject
from edgewright.compile.jobs import SOURCES
from edgewright.compile.levels import Coarse
from edgewright.compile.verdict.judge import Judged
from edgewright.compile.workers import Workers
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.precision import Tolerance
from edgewright.nouns.verdict import Limits, OutputVerdict

JOBS = "truth.jobs"
TIMES = 4


@dataclass(frozen=True)
class Said:
    """What the verdicts say of a file; empty: accepted.

    Attributes:
        today: refused by schema 1's rule. new: the rules that refuse, of "not finite", "levels", "whole", "following" and "slices".
        board: refused by the limits alone. nearer: by them and `TIMES` the host's own error in the whole output, which no limit is now.
        sqnr_db: of the worst output. agreement: share of goldens with the same greatest value.
        following_db: of the worst output, also where it is refused; None where nothing changes.
        asked_again: slices looked lost on the goldens, so that fresh samples were asked.
        today_s, new_s: seconds.
    """

    today: bool
    new: tuple[str, ...]
    board: bool
    nearer: bool
    sqnr_db: float
    following_db: float | None
    agreement: float
    asked_again: bool
    today_s: float
    new_s: float
    words: str = ""
    verdict: tuple[OutputVerdict, ...] = ()


class Broken(Exception):
    """The file does not load or run: nothing is left to a verdict."""


def verdicts(workers: Workers, subject: Subject, limits: tuple[OutputVerdict, ...]) -> Said:
    """All of them.

    Args:
        subject: the artifact, its goldens, its source.
        limits: the verdict that the manifest has: that on the sound file.

    Raises:
        Broken: it does not run.
    """
    framework = subject.target.framework
    began = time.perf_counter()
    try:
        references, answers = workers.call(
            framework, JOBS, "golden_answers", **subject.answering(), file=subject.goldens
        )
    except EdgewrightError as error:
        raise Broken(error.message) from error
    sqnr_db, relative = pooled(references, answers)
    today_s = time.perf_counter() - began
    tolerance = subject.manifest.goldens.tolerance
    new = _new(workers, subject)
    first, answered = (array[0].reshape(len(array[0]), -1) for array in (references, answers))
    return Said(
        today=not within(sqnr_db, relative, tolerance),
        **by_limits(limits, tolerance, references, answers),
        sqnr_db=sqnr_db,
        agreement=float(np.mean(first.argmax(axis=1) == answered.argmax(axis=1))),
        today_s=today_s,
        **new,
    )


def pooled(references: list[Any], answers: list[Any]) -> tuple[float, float]:
    """The baseline: (SQNR in dB, relative error) of the worst output, each over a whole output, not centred."""
    found = []
    for reference, answer in zip(references, answers, strict=True):
        error = np.asarray(answer, np.float64) - reference
        noise, power = float(np.square(error).sum()), float(np.square(reference, dtype=np.float64).sum())
        largest, worst = float(np.abs(reference).max()), float(np.abs(error).max())
        if not math.isfinite(noise) or not power:
            return -200.0, math.inf
        found.append((10 * math.log10(power / noise) if noise else 200.0, worst / largest))
    return min(one[0] for one in found), max(one[1] for one in found)


def within(sqnr_db: float, relative: float, tolerance: Tolerance) -> bool:
    """The baseline's rule."""
    return sqnr_db >= tolerance.sqnr_db and relative <= tolerance.relative


def beyond(limits: Limits, reference: Any, answer: Any) -> bool:
    """What a board finds: sums of squares, whole and by slice, against the manifest's limits."""
    if limits.unequal is not None:
        return int(np.sum(reference != answer)) > limits.unequal
    error = np.asarray(answer, np.float64) - reference
    if not np.isfinite(error).all():
        return True
    squares = np.square(error)
    whole = squares.sum() > (limits.noise or 0.0) or np.abs(error).max() > (limits.error or 0.0)
    return bool(whole) or any(
        most is not None and noise > most
        for part in limits.slices
        for noise, most in zip(
            np.moveaxis(squares, part.axis + 1, 0).reshape(len(part.noise), -1).sum(axis=1),
            part.noise,
            strict=True,
        )
    )


def by_limits(
    verdict: Sequence[OutputVerdict], tolerance: Tolerance, references: list[Any], answers: list[Any]
) -> dict[str, bool]:
    """Whether a board refuses, and would refuse if it went by the host's own error too."""
    triples = list(zip(verdict, references, answers, strict=True))
    board = any(beyond(one.limits, *pair) for one, *pair in triples)
    return {"board": board, "nearer": board or any(_far(*three, tolerance) for three in triples)}


def _far(one: OutputVerdict, reference: Any, answer: Any, tolerance: Tolerance) -> bool:
    if one.sqnr_db is None or one.limits.noise is None:
        return False
    power, noise = (float(np.square(part, dtype=np.float64).sum()) for part in (reference, np.subtract(answer, reference, dtype=np.float64)))  # fmt: skip
    rounding = max(0.0, one.limits.noise - power / 10 ** (tolerance.sqnr_db / 10))
    rounding += reference.size * (8 * 2.0**-23 * float(np.abs(reference).max())) ** 2
    return not noise <= TIMES * power / 10 ** (one.sqnr_db / 10) + rounding


def _new(workers: Workers, subject: Subject) -> dict[str, Any]:
    began = time.perf_counter()
    found = workers.call(subject.target.framework, checking.__name__, "judged", **subject.judging())
    refused: tuple[str, ...] = ()
    words, verdict = "", ()
    try:
        checked = checking.check(workers, subject, found)
        verdict = checked.verdict
        if checked.low is not None:
            raise checked.low
    except EdgewrightError as error:
        refused, words = _rules(error, found), error.message
    return {
        "new": refused,
        "words": words,
        "verdict": verdict,
        "following_db": min(
            (one.verdict.following_db for one in found if one.verdict.following_db is not None), default=None
        ),
        "asked_again": any(one.suspects for one in found),
        "new_s": time.perf_counter() - began,
    }


def _rules(error: EdgewrightError, found: list[Judged]) -> tuple[str, ...]:
    """The rules that a refused artifact breaks; slices by the goldens, as fresh samples are not asked where others refuse."""
    rules = {
        "not finite": any(one.wrong for one in found),
        "levels": isinstance(error, Coarse),
        "whole": any(one.low for one in found),
        "following": any(one.still for one in found),
        "slices": any(suspect.axis is not None for one in found for suspect in one.suspects),
    }
    if not any(rules.values()):
        return ("following",)  # the whole output as one slice
    return tuple(rule for rule, refuses in rules.items() if refuses)


def other_goldens(workers: Workers, subject: Subject, file: Path, samples: SampleSet) -> Subject:
    """The same artifact with goldens from other samples."""
    source = subject.source
    count, origin, _ = workers.call(
        SOURCES[source.format], "edgewright.compile.jobs", "compute_goldens", source=source, samples=samples,
        count=subject.manifest.goldens.count, allow_constant=False, compare=subject.compare, file=file,
    )  # fmt: skip
    goldens = msgspec.structs.replace(subject.manifest.goldens, count=count, origin=origin)
    manifest: Manifest = msgspec.structs.replace(subject.manifest, goldens=goldens)
    return subject._replace(samples=samples, goldens=file, manifest=manifest)


def with_entry(subject: Subject, folder: Path, content: bytes) -> Subject:
    """The artifact in another folder, with other bytes in its entry."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in subject.manifest.files:
        if file.path not in (subject.manifest.entry, subject.manifest.goldens.file):
            (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(subject.folder / file.path, folder / file.path)
    (folder / subject.manifest.entry).write_bytes(content)
    return subject._replace(folder=folder)
