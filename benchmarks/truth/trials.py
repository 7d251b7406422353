"""Trials: a sound artifact, or one with a fault, and what the verdicts say of it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import msgspec
import numpy as np

from edgewright import targets
from edgewright.compile.calibrate import SampleSet
from edgewright.compile.checking import Subject
from edgewright.compile.jobs import SOURCES, SourceRef
from edgewright.compile.recognise import recognise
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers
from edgewright.errors import EdgewrightError
from edgewright.nouns.precision import PRECISIONS
from edgewright.nouns.project import Compare
from truth import verdicts
from truth.cases import Case
from truth.faults import KINDS, Facts
from truth.layer import Graph
from truth.onnx_graph import OnnxGraph
from truth.tflite_graph import TfliteGraph
from truth.verdicts import JOBS, Broken, Said

GRAPHS: dict[str, type[Any]] = {"onnxruntime": OnnxGraph, "tflite": TfliteGraph}
_OBSERVED = 8  # samples that the ranges of activations are from
_ATTEMPTS = 4  # faults of a kind that are drawn until one runs


@dataclass(frozen=True)
class Trial:
    """One file and what was found of it.

    Attributes:
        kind: of its fault, or what its goldens are where it has none.
        detail: what exactly was done.
        disagrees: share of evaluation samples with another greatest value than the file without the fault; of sound ones, than the source.
        drop: of accuracy from there.
        from_source: share of evaluation samples with another greatest value than the source's.
    """

    model: str
    target: str
    precision: str
    kind: str
    detail: str
    disagrees: float
    drop: float
    from_source: float
    said: Said


@dataclass(frozen=True)
class Conversion:
    """An artifact that was made, and how long that took; `refused` is why there is none."""

    model: str
    target: str
    precision: str
    seconds: float
    refused: str = ""


@dataclass(frozen=True)
class Kernels:
    """A sound artifact on kernels that the host does not take: what its manifest's limits say of it."""

    model: str
    target: str
    precision: str
    kernels: str
    sqnr_db: float
    host_db: float
    board: bool
    nearer: bool


@dataclass
class Found:
    """All that was found."""

    kernels: list[Kernels]
    faults: list[Trial]
    sound: list[Trial]
    conversions: list[Conversion]
    broken: int = 0


class Tried:
    """One case and its folder.

    Args:
        samples: how many evaluate.
    """

    def __init__(self, case: Case, workers: Workers, folder: Path, samples: int, found: Found) -> None:
        self.case, self.workers, self.folder, self.found = case, workers, folder, found
        folder.mkdir()
        self.count = min(samples, len(case.inputs))
        self.inputs = folder / "inputs.npy"
        np.save(self.inputs, case.inputs[: self.count])
        known = recognise(case.file)
        self.source = SourceRef(path=known.path.absolute(), format=known.source.format, sha256=known.source.sha256)  # fmt: skip
        framework = SOURCES[self.source.format]
        self.specs = workers.call(
            framework, "edgewright.compile.jobs", "read_the_model", source=self.source, samples=self._pool("all")
        )  # fmt: skip
        self.labels = workers.call(
            framework, JOBS, "source_labels", source=self.source, file=self.inputs, first=self.case.first
        )

    def artifact(self, target: str, precision: str, data: str = "all") -> Subject | None:
        """Makes one. `data` names the part of the pool that it is calibrated with. None: refused."""
        began = time.perf_counter()
        request = CompileRequest(
            source=self.case.file, target=target, precision=precision, calibration=self._pool(data).path, use_cache=False
        )  # fmt: skip
        try:
            made = compile_model(request, workers=self.workers)
        except EdgewrightError as error:
            self._note(target, precision, began, error.message)
            return None
        self._note(target, precision, began)
        goldens = made.folder / made.manifest.goldens.file
        samples = self._pool(data).of(self.specs[0])
        return Subject(
            targets.load(target), self.source, self.specs, samples, made.folder, made.manifest, goldens, made.folder, Compare()
        )  # fmt: skip

    def try_sound(self, subject: Subject, draws: int) -> None:
        """The artifact as it is: its own goldens, others from parts of the data, random ones."""
        answered = self._answered(subject)
        subjects = [("its own goldens", subject)]
        for draw in range(draws):
            samples = self._pool(f"half{draw}").of(self.specs[0])
            subjects.append(("other goldens", self._redrawn(subject, samples, f"goldens{draw}")))
        if not PRECISIONS[subject.manifest.precision].calibrated:  # those are made for data
            subjects.append(
                ("random goldens", self._redrawn(subject, SampleSet(specs=self.specs[0]), "random"))
            )
        for kind, one in subjects:
            said = verdicts.verdicts(self.workers, one, subject.manifest.verdict)
            self._add(self.found.sound, subject, kind, "", answered, self.labels, said)

    def try_kernels(self, subject: Subject) -> None:
        """The artifact as it is, on the runtime's other kernels, by the limits of its manifest."""
        target, manifest = subject.target, subject.manifest
        found = self.workers.call(
            target.framework, JOBS, f"{target.name}_kernels", path=subject.folder / manifest.entry, file=subject.goldens
        )  # fmt: skip
        with np.load(subject.goldens) as archive:
            reference = archive["output_0"]
        for name, answer in found.items():
            sqnr_db, _ = verdicts.pooled([reference], [answer])
            said = verdicts.by_limits(manifest.verdict, manifest.goldens.tolerance, [reference], [answer])
            row = (self.case.name, target.name, manifest.precision, name, sqnr_db, manifest.parity.sqnr_db)
            self.found.kernels.append(Kernels(*row, **said))

    def try_faults(self, subject: Subject, kinds: list[str], seeds: range) -> None:
        """Faults of every kind, one a seed."""
        sound = self._answered(subject)
        facts = Facts(
            float(self.case.pool.std()),
            self._ranges(subject),
            self.case.colours,
            len(np.unique(self.case.labels)),
        )
        for kind in kinds:
            for seed in seeds:
                for detail, planted in self._planted(subject, kind, seed, facts):
                    try:
                        said = verdicts.verdicts(self.workers, planted, subject.manifest.verdict)
                    except Broken:
                        self.found.broken += 1
                        continue
                    answered = self._answered(planted)
                    self._add(self.found.faults, subject, kind, f"{detail}; seed {seed}", answered, sound, said)  # fmt: skip
                    break

    def _planted(self, subject: Subject, kind: str, seed: int, facts: Facts) -> Iterator[tuple[str, Subject]]:
        """(what was done, the artifact with it): the fault of a seed, and others for the case that it does not run."""
        name = f"{self.case.name} {subject.target.name} {subject.manifest.precision} {kind}"
        for attempt in range(_ATTEMPTS):
            random = np.random.default_rng([seed, attempt, zlib.crc32(name.encode())])
            graph: Graph = GRAPHS[subject.target.name](subject.folder / subject.manifest.entry)
            detail = KINDS[kind](graph, random, facts)
            if detail is None:
                return
            yield detail, verdicts.with_entry(subject, self.folder / "planted", graph.save())

    def _answered(self, subject: Subject) -> Any:
        return self.workers.call(
            subject.target.framework, JOBS, "labels", **subject.answering(), file=self.inputs, first=self.case.first
        )  # fmt: skip

    def _ranges(self, subject: Subject) -> dict[str, float]:
        if PRECISIONS[subject.manifest.precision].calibrated:
            return {}
        module = GRAPHS[subject.target.name].__module__
        found: dict[str, float] = self.workers.call(
            subject.target.framework, module, "observe", path=subject.folder / subject.manifest.entry,
            samples=[np.ascontiguousarray(one) for one in self.case.pool[:_OBSERVED]],
        )  # fmt: skip
        return found

    def _redrawn(self, subject: Subject, samples: SampleSet, name: str) -> Subject:
        return verdicts.other_goldens(self.workers, subject, self.folder / f"{name}.npz", samples)

    def _pool(self, part: str) -> SampleSet:
        """Calibration data in a file: all, or a random half of them."""
        file = self.folder / f"pool-{part}.npz"
        if not file.exists():
            pool = self.case.pool
            if part != "all":
                random = np.random.default_rng(zlib.crc32(part.encode()))
                pool = pool[np.sort(random.permutation(len(pool))[: len(pool) // 2])]
            np.savez(file, input_0=pool)
        return SampleSet(path=file)

    def _note(self, target: str, precision: str, began: float, refused: str = "") -> None:
        seconds = time.perf_counter() - began
        measuring.say(f"{self.case.name}, {target} {precision}: {refused or f'converted in {seconds:.1f} s'}")
        self.found.conversions.append(Conversion(self.case.name, target, precision, seconds, refused))

    def _add(
        self, to: list[Trial], subject: Subject, kind: str, detail: str, answered: Any, sound: Any, said: Said
    ) -> None:
        right = self.case.labels[: self.count]
        drop = float(np.mean(sound == right) - np.mean(answered == right))
        disagrees = float(np.mean(answered != sound))
        manifest = subject.manifest
        from_source = float(np.mean(answered != self.labels))
        name = self.case.name
        to.append(Trial(name, manifest.target, manifest.precision, kind, detail, disagrees, drop, from_source, said))  # fmt: skip


def as_json(found: Found) -> bytes:
    """All trials, for a file."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1)
