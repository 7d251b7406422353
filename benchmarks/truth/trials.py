"""Trials: a sound artifact, or one with a fault, and the verdicts on it."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import measuring
import msgspec
import numpy as np

from edgewright import targets
from edgewright.compile.data import goldens
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.data.data_hash import calibration_of
from edgewright.compile.formats import FORMATS
from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality.artifact_check import Subject
from edgewright.compile.recognition import recognise
from edgewright.compile.request import CompileRequest
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.project import Compare
from edgewright.precisions import PRECISIONS
from truth import judging, kernels, older, recorded, unjudged, verdicts
from truth.cases import Case
from truth.decide import decisions, differing
from truth.ends import Facts
from truth.faults import ALL, plant
from truth.layer import Graph
from truth.onnx_graph import OnnxGraph
from truth.openvino_graph import OpenvinoGraph
from truth.recorded import JOBS, Archive, Asked, Recording
from truth.store import Done, Key, Made, Store
from truth.tflite_graph import TfliteGraph

GRAPHS: dict[str, type[Any]] = {"onnxruntime": OnnxGraph, "tflite": TfliteGraph, "openvino": OpenvinoGraph}
_OBSERVED = 8  # samples for the ranges of activations
_ATTEMPTS = 4  # faults of a kind that are drawn until one runs


class Trials:
    """One case and its folder.

    Args:
        samples: the most that evaluate.
    """

    def __init__(
        self, case: Case, workers: Workers, folder: Path, samples: int, store: Store, archive: Archive
    ) -> None:
        self.case, self.workers, self.folder, self.store, self.archive = case, workers, folder, store, archive
        archive.begin(case.name)
        folder.mkdir(parents=True, exist_ok=True)
        self.count = min(samples, case.most, len(case.inputs[0]))
        self.inputs = folder / "inputs.npz"
        _write(self.inputs, [array[: self.count] for array in case.inputs])
        known = recognise(case.file)
        shapes = tuple(case.shapes.items())
        self.source = SourceRef(path=known.path.absolute(), format=known.source.format, sha256=known.source.sha256, shapes=shapes)  # fmt: skip
        framework = FORMATS[self.source.format].framework
        self.specs = workers.call(
            framework, "edgewright.compile.tasks.source", "read_the_model", source=self.source, samples=self.pool("all")
        )  # fmt: skip
        self.decided = workers.call(
            framework, JOBS, "source_decided", source=self.source, file=self.inputs, how=case.decide
        )

    def run(
        self, target: str, precision: str, kinds: list[str], seeds: int, draws: int, old: Path | None
    ) -> None:
        """All of one artifact, but for what is recorded. `old`: where environments of older runtimes are kept."""
        key = Key(self.case.name, target, precision)
        if any(one.seeds >= seeds and one.draws >= draws for one in judging.done(self.archive.of(key))):
            if not self.store.of(key, Done):
                self.store.put(key, [*judging.rows(self.archive, key)])
            return
        made = self.conversion(key, "all")
        if made is not None:
            subject, asked, sound, accepted = made
            if draws and not PRECISIONS[precision].calibrated:  # those are made for data
                self.random(key, subject)
            if accepted:
                self.kernels(key, subject, sound, old)
                self.faults(key, subject, asked, kinds, seeds, sound)
        for draw in range(draws if PRECISIONS[precision].calibrated else 0):
            self.conversion(key, f"half{draw}")
        if kinds == list(ALL):
            judging.keep(self.archive.of(key), Done(seeds, draws))
        self.store.put(key, [*judging.rows(self.archive, key)])

    def conversion(self, key: Key, data: str) -> tuple[Subject, Asked, list[Any], bool] | None:
        """Makes an artifact and records it, whether the verdict accepts it or not. None: there is none to work with.

        Args:
            data: names the part of the pool that it is calibrated with.

        Returns:
            (the artifact, what it was asked, its decisions, whether the verdict accepts it).
        """
        began = time.perf_counter()
        request = CompileRequest(
            model=ModelInput(
                source=self.case.file, shapes=self.case.shapes, calibration=calibration_of(self.pool(data).path)
            ),
            target=key.target, precision=key.precision, use_cache=False,
        )  # fmt: skip
        place, whole = self.archive.of(key), data == "all"
        try:
            with unjudged.verdict() as said:
                made = compile_model(request, workers=self.workers)
        except EdgewrightError as error:
            measuring.say(f"{' '.join(key)}: {error.message}")
            if whole:
                judging.keep(place, Made(0.0, 0.0, error.message))
            return None
        seconds = time.perf_counter() - began
        measuring.say(f"{' '.join(key)}: converted in {seconds:.1f} s, {made.manifest.parity.sqnr_db:.1f} dB")
        subject = self._subject(made, data)
        assert said.asked, "conversions have another way to their verdict: `unjudged` does not see it"  # noqa: S101
        asked, decided = self.sound(key if whole else _part(key, data), subject)
        if whole:
            again = [verdicts.verdicts(self.workers, subject, made.manifest.verdict) for _ in range(3)]
            judging.keep(place, Made(round(seconds, 2), round(median(one.seconds for one in again), 4)))
        return subject, asked, decided, said.refused is None

    def changed_by(self, made: Artifact) -> int:
        """Permille of the source's decisions that an artifact changes."""
        return self._changed(self._answered(self._subject(made, "all")), self.decided)

    def _subject(self, made: Artifact, data: str) -> Subject:
        return Subject(
            targets.load(made.manifest.target), self.source, self.specs, self.pool(data).of(self.specs[0]), made.folder,
            made.manifest, made.folder / made.manifest.goldens.file, made.folder, Compare(),
        )  # fmt: skip

    def sound(self, key: Key, subject: Subject) -> tuple[Asked, list[Any]]:
        """Records the artifact as it is. Returns what it was asked, and its decisions."""
        asked = self.archive.asked(self.workers, subject, key.model)
        one, decided = self._recorded(subject, asked)
        facts = msgspec.structs.replace(one.facts, changed=self._changed(decided, self.decided), lost=self._lost(self.decided, decided))  # fmt: skip
        self.archive.keep(key, subject, asked)
        recorded.save(self.archive.of(key) / f"{recorded.SOUND}.npz", one._replace(facts=facts))
        return asked, decided

    def random(self, key: Key, subject: Subject) -> None:
        """Records its answers to random goldens."""
        samples = SampleSet(specs=self.specs[0])
        self.sound(_part(key, "random"), verdicts.other_goldens(self.workers, subject, self.folder / "random.npz", samples))  # fmt: skip

    def kernels(self, key: Key, subject: Subject, sound: list[Any], old: Path | None) -> None:
        """The artifact as it is, on the runtime's other kernels and versions."""
        inputs = self._asked(subject)
        for name in (*kernels.NAMES[key.target], *(older.NAMES[key.target] if old else ())):
            file = self.archive.of(key) / f"kernels-{_slug(name)}.npz"
            if not file.exists():
                recorded.save(file, self._on_kernels(subject, name, inputs, sound, old))

    def faults(
        self, key: Key, subject: Subject, asked: Asked, kinds: list[str], seeds: int, sound: list[Any]
    ) -> None:
        """Faults of every kind, one a seed."""
        facts = self._facts(subject)
        for kind in kinds:
            for seed in range(seeds):
                file = self.archive.of(key) / f"fault-{_slug(kind)}-{seed}.npz"
                if not file.exists():
                    found = self._fault(key, subject, asked, kind, seed, facts, sound)
                    if found is not None:
                        recorded.save(file, found)

    def pool(self, part: str) -> SampleSet:
        """Calibration data in a file: all, or a random half of them."""
        file = self.folder / f"pool-{part}.npz"
        if not file.exists():
            pool = self.case.pool
            if part != "all":
                random = np.random.default_rng(zlib.crc32(part.encode()))
                rows = np.sort(random.permutation(len(pool[0]))[: len(pool[0]) // 2])
                pool = [array[rows] for array in pool]
            _write(file, pool)
        return SampleSet(path=file)

    def _asked(self, subject: Subject) -> Path:
        """A file with the goldens' inputs, which boards judge by, and the samples that evaluate behind them."""
        inputs, _ = goldens.load(subject.goldens, len(subject.manifest.inputs), 0)
        file = self.folder / "asked.npz"
        others = [array[: self.count] for array in self.case.inputs]
        _write(file, [np.concatenate([one, other.astype(one.dtype)]) for one, other in zip(inputs, others, strict=True)])  # fmt: skip
        return file

    def _on_kernels(
        self, subject: Subject, name: str, inputs: Path, sound: list[Any], old: Path | None
    ) -> Recording:
        """Its answers to the goldens there."""
        try:
            if name in kernels.NAMES[subject.target.name]:
                found = self.workers.call(
                    subject.target.framework, kernels.__name__, "answers", target=subject.target.name, kernels=name,
                    path=subject.folder / subject.manifest.entry, file=inputs,
                    manifest=subject.answering()["manifest"],
                )  # fmt: skip
            else:
                assert old is not None  # noqa: S101
                found = older.answers(old, subject.target.name, name, subject, inputs)
        except (EdgewrightError, older.Failed) as error:
            return Recording(recorded.Facts(kind=name, failed=str(error)[:80]), [], [])
        count = subject.manifest.goldens.count
        specs = subject.answering()["manifest"]["outputs"]
        others = [verdicts.as_real(one[count:], spec) for one, spec in zip(found, specs, strict=True)]
        changed = self._changed(decisions(others, self.case.decide), sound)
        return Recording(recorded.Facts(kind=name, changed=changed), [one[:count] for one in found], [])

    def _fault(
        self,
        key: Key,
        subject: Subject,
        asked: Asked,
        kind: str,
        seed: int,
        facts: Facts,
        sound: list[Any],
    ) -> Recording | None:
        for detail, planted in self._planted(key, subject, kind, seed, facts):
            try:
                one, answered = self._recorded(planted, asked)
            except EdgewrightError:
                continue
            changed, lost = self._changed(answered, sound), self._lost(sound, answered)
            return one._replace(
                facts=msgspec.structs.replace(
                    one.facts, kind=kind, seed=seed, detail=detail, changed=changed, lost=lost
                )
            )
        if detail_of_none := self._applies:
            return Recording(recorded.Facts(kind=kind, seed=seed, changed=-1, detail=detail_of_none), [], [])
        return None

    def _recorded(self, subject: Subject, asked: Asked) -> tuple[Recording, list[Any]]:
        return recorded.answered(self.workers, subject, asked, self.inputs, self.case.decide)

    def _planted(self, key: Key, subject: Subject, kind: str, seed: int, facts: Facts) -> Iterator[tuple[str, Subject]]:  # fmt: skip
        """(what was done, the artifact with it): the fault of a seed, and others for the case that it does not run."""
        self._applies = ""
        for attempt in range(_ATTEMPTS):
            random = np.random.default_rng([seed, attempt, zlib.crc32(" ".join((*key, kind)).encode())])
            graph: Graph = GRAPHS[key.target](subject.folder, subject.manifest.entry)
            detail = plant(kind, graph, random, facts)
            if detail is None:
                return
            self._applies = "does not run"
            planted = verdicts.copied(subject, self.folder / "planted")
            graph.save(planted.folder)
            yield detail, planted

    def _facts(self, subject: Subject) -> Facts:
        with np.load(subject.goldens) as archive:
            means = [float(archive[f"output_{at}"].mean()) for at in range(len(subject.manifest.outputs))]
        return Facts(
            float(self.case.pool[0].std()),
            self._ranges(subject),
            self.case.colours,
            self.case.classes,
            [spec.shape for spec in subject.manifest.inputs],
            [spec.shape for spec in subject.manifest.outputs],
            means,
        )

    def _ranges(self, subject: Subject) -> dict[str, float]:
        if PRECISIONS[subject.manifest.precision].calibrated:
            return {}
        module = GRAPHS[subject.target.name].__module__
        found: dict[str, float] = self.workers.call(
            subject.target.framework, module, "observe", path=subject.folder / subject.manifest.entry,
            samples=[[np.ascontiguousarray(array[at]) for array in self.case.pool] for at in range(_OBSERVED)],
        )  # fmt: skip
        return found

    def _answered(self, subject: Subject) -> list[Any]:
        found: list[Any] = self.workers.call(
            subject.target.framework, JOBS, "decided", **subject.answering(), file=self.inputs, how=self.case.decide
        )  # fmt: skip
        return found

    def _changed(self, one: list[Any], other: list[Any]) -> int:
        return math.ceil(1000 * differing(one, other, self.case.decide) - 1e-9)  # one of many is not 0

    def _lost(self, one: list[Any], other: list[Any]) -> int | None:
        if self.case.labels is None:
            return None
        labels = self.case.labels[: self.count]
        drop = np.mean(one[0][:, 0] == labels) - np.mean(other[0][:, 0] == labels)
        return round(1000 * float(drop))


def _part(key: Key, data: str) -> Key:
    """Names the folder of an artifact's variant."""
    return key._replace(precision=f"{key.precision} {data}")


def _slug(name: str) -> str:
    return name.replace(" ", "_")


def _write(file: Path, arrays: list[Any]) -> None:
    np.savez(file, **{f"input_{at}": array for at, array in enumerate(arrays)})
