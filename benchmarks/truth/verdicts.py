"""The verdicts on a finished artifact: the host's, as in a conversion, and a board's, by the limits of a manifest."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgewright.compile.data.answers import real
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.formats import FORMATS
from edgewright.compile.quality import artifact_check
from edgewright.compile.quality.artifact_check import Subject
from edgewright.compile.quality.levels import Coarse
from edgewright.compile.quality.verdict.decibels import EXACT_DB, decibel
from edgewright.compile.quality.verdict.judge import Judged
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.workers.pool import Workers
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.verdict import Limits, OutputVerdict

JOBS = "truth.jobs"


@dataclass(frozen=True)
class Said:
    """The verdicts on a file; empty: accepted.

    Attributes:
        host: letters of the rules that refuse (`tables.RULES`). board: refused by the limits of the sound file's manifest.
        sqnr_db, following_db: of the worst output, as in a verdict.
        seconds: of the host's verdict. again: it asked fresh samples. outweighed: an evaluation set could let it through.
    """

    host: str
    board: bool
    sqnr_db: float
    following_db: float
    seconds: float
    again: bool
    words: str = ""
    verdict: tuple[OutputVerdict, ...] = ()
    outweighed: bool = False


class Broken(Exception):
    """The file does not load or run, so there is nothing to judge."""


def verdicts(workers: Any, subject: Subject, limits: tuple[OutputVerdict, ...]) -> Said:
    """The host's verdict, as in a conversion, and a board's.

    Args:
        workers: Workers, or their replacement that replays recordings.
        subject: the artifact, its goldens, its source.
        limits: the verdict that the manifest has: that on the sound file; empty: no board is asked.

    Raises:
        Broken: it does not run.
    """
    try:
        references, answers = workers.call(
            subject.target.framework, JOBS, "golden_answers", **subject.answering(), file=subject.goldens
        )
        board = bool(limits) and by_limits(limits, references, answers)
        return _host(workers, subject, board, pooled(references, answers))
    except EdgewrightError as error:
        raise Broken(error.message) from error


def pooled(references: list[Any], answers: list[Any]) -> float:
    """SQNR in dB of the worst output, not centred."""
    found = []
    for reference, answer in zip(references, answers, strict=True):
        error = np.asarray(answer, np.float64) - reference
        noise, power = float(np.square(error).sum()), float(np.square(reference, dtype=np.float64).sum())
        found.append(decibel(power, noise))
    return min(found)


def beyond(limits: Limits, reference: Any, answer: Any) -> bool:
    """A board's findings: sums of squares, whole and by slice, compared with the manifest's limits."""
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


def by_limits(verdict: Sequence[OutputVerdict], references: list[Any], answers: list[Any]) -> bool:
    """Whether a board refuses."""
    return any(beyond(one.limits, *pair) for one, *pair in zip(verdict, references, answers, strict=True))


def _host(workers: Any, subject: Subject, board: bool, sqnr_db: float) -> Said:
    began = time.perf_counter()
    found = workers.call(subject.target.framework, artifact_check.__name__, "judged", **subject.judging())
    host, words, outweighed = "", "", False
    verdict: tuple[OutputVerdict, ...] = ()
    try:
        checked = artifact_check.check(workers, subject, found)
        verdict = checked.verdict
        if checked.low is not None:
            outweighed = True
            raise checked.low
    except (Unlike, Coarse) as error:
        host, words, verdict = _rules(error, found), error.message, error.verdict
    again = any(one.doubtful for one in found)
    following_db = min(
        (db for one in found if (db := one.verdict.following_db) is not None), default=EXACT_DB
    )
    return Said(
        host, board, sqnr_db, following_db, time.perf_counter() - began, again, words, verdict, outweighed
    )


def _rules(error: EdgewrightError, found: list[Judged]) -> str:
    """The rules that a refused artifact breaks; slices by the goldens, as fresh samples are not asked where others refuse."""
    rules = {
        "n": any(one.wrong for one in found),
        "l": isinstance(error, Coarse),
        "w": any(one.low for one in found),
        "f": any(one.still for one in found),
        "s": any(suspect.axis is not None for one in found for suspect in one.suspects),
    }
    choices = "c" if "choose" in error.message else "f"  # or the whole output as one slice
    return "".join(rule for rule, refuses in rules.items() if refuses) or choices


def other_goldens(workers: Workers, subject: Subject, file: Path, samples: SampleSet) -> Subject:
    """The same artifact with goldens from other samples."""
    source = subject.source
    count, origin, _ = workers.call(
        FORMATS[source.format].framework, "edgewright.compile.tasks.source", "compute_goldens", source=source, samples=samples,
        count=subject.manifest.goldens.count, allow_constant=False, compare=subject.compare, file=file,
    )  # fmt: skip
    goldens = msgspec.structs.replace(subject.manifest.goldens, count=count, origin=origin)
    manifest: Manifest = msgspec.structs.replace(subject.manifest, goldens=goldens)
    return subject._replace(samples=samples, goldens=file, manifest=manifest)


def copied(subject: Subject, folder: Path) -> Subject:
    """The artifact in another folder, without its goldens, for a fault to be planted in."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in subject.manifest.files:
        if file.path != subject.manifest.goldens.file:
            (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(subject.folder / file.path, folder / file.path)
    return subject._replace(folder=folder)


def as_real(answer: Any, spec: dict[str, Any]) -> Any:
    """Outputs of an artifact as real values."""
    return real(answer, spec)
