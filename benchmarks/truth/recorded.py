"""Recorded outputs: everything that a verdict asks for, in files, so that another verdict can judge them in minutes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from edgewright import targets
from edgewright.compile.data import goldens
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.formats import FORMATS
from edgewright.compile.quality import artifact_check
from edgewright.compile.quality.artifact_check import Subject
from edgewright.compile.quality.levels import Coarse
from edgewright.compile.quality.verdict import fresh_samples
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Manifest, Parity, TensorSpec
from edgewright.nouns.project import Compare
from truth.decide import Decide
from truth.store import Key

JOBS = "truth.jobs"
_MOST_BYTES = 48 * 1024**2  # of one file's answers to samples that are not goldens
_NOT_MEASURED = Parity(max_abs=0.0, max_relative=0.0, cosine=1.0, sqnr_db=0.0, top1_agreement=1.0, count=0)
SOUND = "sound"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about a recorded file in addition to its outputs.

    Attributes:
        levels: why too few levels are left; empty where enough are. hint: of that refusal. notes: of the check of levels.
        changed, lost, kind, seed, detail: as of the rows in `store`.
        failed: kernels that do not run, and why.
    """

    levels: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    changed: int = 0
    lost: int | None = None
    kind: str = ""
    seed: int = 0
    detail: str = ""
    failed: str = ""


class Recording(NamedTuple):
    """A file's answers.

    Attributes:
        answers: one array an output, raw, of shape (samples, *output). steps: as `steps.steps` gives them.
    """

    facts: Facts
    answers: list[Any]
    steps: list[Any]


class Asked(NamedTuple):
    """The samples that every file of a model is run on.

    Attributes:
        folder: of these files. goldens: as a conversion makes them. samples: of the goldens, then others of the calibration data.
        source: its answers to those.
    """

    folder: Path

    @property
    def goldens(self) -> Path:
        return self.folder / goldens.FILE

    @property
    def samples(self) -> Path:
        return self.folder / "samples.npz"

    @property
    def source(self) -> Path:
        return self.folder / "source.npz"


class _Artifact(msgspec.Struct, frozen=True):
    """A converted artifact as a judge has to know it."""

    manifest: Manifest
    source: SourceRef
    specs: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]
    asked: str


class Archive:
    """The recordings of all models, a folder each.

    Args:
        folder: of all. code: fingerprint of what makes answers; a model's recordings by other code are removed.
    """

    def __init__(self, folder: Path, code: str) -> None:
        self.folder, self._code = folder, code

    def begin(self, model: str) -> None:
        """Makes a model's folder, without what other code recorded."""
        place, head = self.folder / model, self.folder / model / "code"
        if place.is_dir() and (not head.exists() or head.read_text() != self._code):
            shutil.rmtree(place)
        place.mkdir(parents=True, exist_ok=True)
        head.write_text(self._code)

    def of(self, key: Key) -> Path:
        """An artifact's folder."""
        return self.folder / key.model / f"{key.target} {key.precision}"

    def asked(self, workers: Workers, subject: Subject, model: str) -> Asked:
        """What an artifact's goldens say has to be asked; the source is asked here."""
        digest = hashlib.sha256(subject.goldens.read_bytes()).hexdigest()[:12]
        found = Asked(self.folder / model / f"goldens-{digest}")
        if found.source.exists():
            return found
        found.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(subject.goldens, found.goldens)
        inputs, _ = goldens.load(found.goldens, len(subject.manifest.inputs), 0)
        each = sum(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in subject.specs[1])
        places = fresh_samples.chosen(subject.samples, inputs, subject.specs[1])
        most = max(0, _MOST_BYTES // max(1, each))
        if len(places) > most:
            places = [places[index * len(places) // most] for index in range(most)]
        fresh = list(fresh_samples.taken(subject.samples, places))
        rows = [*zip(*inputs, strict=True), *fresh]
        write(found.samples, [np.stack(column) for column in zip(*rows, strict=True)], "input")
        framework = FORMATS[subject.source.format].framework
        answers = workers.call(framework, JOBS, "source_answers", source=subject.source, file=found.samples)
        write(found.source.with_suffix(".part.npz"), answers, "output")
        found.source.with_suffix(".part.npz").replace(found.source)
        return found

    def keep(self, key: Key, subject: Subject, asked: Asked) -> None:
        """Keeps what a judge has to know of an artifact."""
        place = self.of(key)
        place.mkdir(parents=True, exist_ok=True)
        known = _Artifact(subject.manifest, subject.source, subject.specs, asked.folder.name)
        (place / "artifact.json").write_bytes(msgspec.json.encode(known, enc_hook=str))

    def subject(self, key: Key) -> tuple[Subject, Asked]:
        """An artifact to judge, with today's tolerance."""
        from edgewright.precisions import PRECISIONS

        place = self.of(key)
        known = msgspec.json.decode(
            (place / "artifact.json").read_bytes(), type=_Artifact, dec_hook=lambda kind, text: kind(text)
        )
        asked = Asked(place.parent / known.asked)
        tolerance = PRECISIONS[known.manifest.precision].tolerance
        manifest = msgspec.structs.replace(
            known.manifest, goldens=msgspec.structs.replace(known.manifest.goldens, tolerance=tolerance)
        )
        samples = SampleSet(path=asked.samples, specs=known.specs[0])
        return Subject(targets.load(key.target), known.source, known.specs, samples, place, manifest, asked.goldens, place, Compare()), asked  # fmt: skip


def answered(
    workers: Workers, subject: Subject, asked: Asked, evaluation: Path, how: tuple[Decide, ...]
) -> tuple[Recording, list[Any]]:
    """(a file's answers to what is asked, its decisions about the samples that evaluate)."""
    module = subject.judging()["module"]
    answers, steps, decided = workers.call(
        subject.target.framework, JOBS, "recorded", **subject.answering(), file=asked.samples, module=module,
        evaluation=evaluation, how=how,
    )  # fmt: skip
    return Recording(_levels(workers, subject), answers, steps), decided


def _levels(workers: Workers, subject: Subject) -> Facts:
    try:
        notes = artifact_check._levels(workers, subject, _NOT_MEASURED, ())
    except Coarse as error:
        return Facts(levels=error.message, hint=error.hint or "")
    return Facts(notes=tuple(notes))


def save(file: Path, one: Recording) -> None:
    """Writes a recording; a run that ends in between leaves none."""
    members = {f"output_{at}": array for at, array in enumerate(one.answers)}
    members |= {f"step_{at}": array for at, array in enumerate(one.steps) if array.any()}
    facts = np.frombuffer(msgspec.json.encode(one.facts), np.uint8)
    part = file.with_suffix(".part.npz")
    np.savez(part, facts=facts, **members)
    part.replace(file)


def load(file: Path) -> Recording:
    """What `save` wrote."""
    with np.load(file) as archive:
        facts = msgspec.json.decode(archive["facts"].tobytes(), type=Facts)
        count = sum(name.startswith("output_") for name in archive.files)
        answers = [archive[f"output_{at}"] for at in range(count)]
        steps = [
            archive[name] if (name := f"step_{at}") in archive.files else np.zeros(answers[at].shape[1:])
            for at in range(count)
        ]
    return Recording(facts, answers, steps)


def write(file: Path, arrays: list[Any], name: str) -> None:
    """Arrays as members `<name>_<i>`."""
    np.savez(file, **{f"{name}_{at}": array for at, array in enumerate(arrays)})
