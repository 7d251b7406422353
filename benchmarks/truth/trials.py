"""Trials: a sound artifact, or one with a fault, and what the verdicts say of it."""

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
from truth import counts, kernels, older, unjudged, verdicts
from truth.cases import Case
from truth.decide import decisions, differing
from truth.ends import Facts
from truth.faults import ALL, plant
from truth.layer import Graph
from truth.onnx_graph import OnnxGraph
from truth.openvino_graph import OpenvinoGraph
from truth.store import Done, Fault, Kernel, Key, Made, Sound, Store
from truth.tflite_graph import TfliteGraph
from truth.verdicts import JOBS, Broken

GRAPHS: dict[str, type[Any]] = {"onnxruntime": OnnxGraph, "tflite": TfliteGraph, "openvino": OpenvinoGraph}
_OBSERVED = 8  # samples that the ranges of activations are from
_ATTEMPTS = 4  # faults of a kind that are drawn until one runs


class Trials:
    """One case and its folder.

    Args:
        samples: how many evaluate at most.
    """

    def __init__(self, case: Case, workers: Workers, folder: Path, samples: int, store: Store) -> None:
        self.case, self.workers, self.folder, self.store = case, workers, folder, store
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
        """All of one artifact, but for what the store has. `old`: where environments of older runtimes are kept."""
        key = Key(self.case.name, target, precision)
        done = self.store.of(key, Done)
        if any(one.seeds >= seeds and one.draws >= draws for one in done):
            return
        subject = self.conversion(key, "all", draws)
        if subject is not None:
            self.kernels(key, subject, old)
            self.faults(key, subject, kinds, seeds)
        for draw in range(draws if PRECISIONS[precision].calibrated else 0):
            if not self._has(key, f"half{draw}"):
                self.conversion(key, f"half{draw}", 0)
        if kinds == list(ALL):
            self.store.add(key, Done(seeds, draws))

    def conversion(self, key: Key, data: str, draws: int) -> Subject | None:
        """Makes an artifact, and counts its decisions, whether the verdict accepts it or not. None: there is none to work with.

        Args:
            data: names the part of the pool that it is calibrated with.
        """
        began = time.perf_counter()
        request = CompileRequest(
            model=ModelInput(
                source=self.case.file, shapes=self.case.shapes, calibration=calibration_of(self.pool(data).path)
            ),
            target=key.target, precision=key.precision, use_cache=False,
        )  # fmt: skip
        new = data == "all" and not self.store.of(key, Made)
        try:
            with unjudged.verdict() as said:
                made = compile_model(request, workers=self.workers)
        except EdgewrightError as error:
            self._failed(key, data, error, new)
            return None
        seconds = time.perf_counter() - began
        measuring.say(f"{' '.join(key)}: converted in {seconds:.1f} s, {made.manifest.parity.sqnr_db:.1f} dB")
        subject = self._subject(made, data)
        assert said.asked, "conversions have another way to their verdict: `unjudged` does not see it"  # noqa: S101
        self.sound(key, subject, data, draws, said)
        if said.refused is not None:
            self._failed(key, data, said.refused, new)
            return None
        if new:
            again = [verdicts.verdicts(self.workers, subject, made.manifest.verdict) for _ in range(3)]
            self.store.add(key, Made(round(seconds, 2), round(median(one.seconds for one in again), 4)))
        return subject

    def changed_by(self, made: Artifact) -> int:
        """Permille of the source's decisions that an artifact changes."""
        return self._changed(self._answered(self._subject(made, "all")), self.decided)

    def _subject(self, made: Artifact, data: str) -> Subject:
        return Subject(
            targets.load(made.manifest.target), self.source, self.specs, self.pool(data).of(self.specs[0]), made.folder,
            made.manifest, made.folder / made.manifest.goldens.file, made.folder, Compare(),
        )  # fmt: skip

    def sound(self, key: Key, subject: Subject, data: str, draws: int, conversion: unjudged.Recorded) -> None:
        """The artifact as it is: as its conversion judged it, with goldens from parts of the data, with random ones."""
        known = {(one.goldens, one.data) for one in self.store.of(key, Sound)}
        answered = self._answered(subject)
        changed, lost = self._changed(answered, self.decided), self._lost(self.decided, answered)
        wanted = [("own", data), *((f"other{draw}", data) for draw in range(draws))]
        if not PRECISIONS[key.precision].calibrated and draws:  # those are made for data
            wanted.append(("random", data))
        for asked, part in wanted:
            if (asked, part) in known:
                continue
            one = subject if asked == "own" else self._redrawn(subject, asked)
            said = verdicts.verdicts(self.workers, one, subject.manifest.verdict)
            words, outweighed = said.words, said.outweighed
            if asked == "own":
                words = "" if conversion.refused is None else conversion.refused.message
                outweighed = conversion.outweighed
            self.store.add(
                key,
                Sound(asked, data, changed, lost, round(said.sqnr_db, 1), round(said.following_db, 1), words, int(outweighed)),
            )  # fmt: skip

    def kernels(self, key: Key, subject: Subject, old: Path | None) -> None:
        """The artifact as it is, on the runtime's other kernels and versions, by the limits of its manifest."""
        known = {one.kernels for one in self.store.of(key, Kernel)}
        asked = self._asked(subject)
        for name in kernels.NAMES[key.target]:
            if name not in known:
                self.store.add(key, self._on_kernels(key, subject, name, asked))
        for name in older.NAMES[key.target] if old else ():
            if old and name not in known:
                self.store.add(key, self._on_older(key, subject, name, asked, old))

    def faults(self, key: Key, subject: Subject, kinds: list[str], seeds: int) -> None:
        """Faults of every kind, one a seed."""
        known = {(one.kind, one.seed) for one in self.store.of(key, Fault)}
        sound = self._answered(subject)
        facts = self._facts(subject)
        workers = verdicts.Remembering(self.workers, self.folder / "fresh")
        for kind in kinds:
            for seed in range(seeds):
                if (kind, seed) not in known:
                    self._fault(workers, key, subject, kind, seed, facts, sound)

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

    def _failed(self, key: Key, data: str, error: EdgewrightError, new: bool) -> None:
        """Why a conversion ends without an artifact. What the verdict refuses is in `Sound` too, unless it has other shapes."""
        measuring.say(f"{' '.join(key)}: {error.message}")
        if new:
            code = f"{error.code}: " if error.code in ("parity", "levels") else ""
            self.store.add(key, Made(0.0, 0.0, f"{code}{error.message}"))
        elif data != "all" and error.code in ("parity", "levels") and not self._has(key, data):
            self.store.add(key, Sound("own", data, -1, None, 0.0, 0.0, error.message))

    def _has(self, key: Key, data: str) -> bool:
        return any(one.data == data for one in self.store.of(key, Sound))

    def _asked(self, subject: Subject) -> Path:
        """A file with the goldens' inputs, which boards judge by, and the samples that evaluate behind them."""
        inputs, _ = goldens.load(subject.goldens, len(subject.manifest.inputs), 0)
        file = self.folder / "asked.npz"
        others = [array[: self.count] for array in self.case.inputs]
        _write(file, [np.concatenate([one, other.astype(one.dtype)]) for one, other in zip(inputs, others, strict=True)])  # fmt: skip
        return file

    def _on_kernels(self, key: Key, subject: Subject, name: str, asked: Path) -> Kernel:
        try:
            found = self.workers.call(
                subject.target.framework, kernels.__name__, "answers", target=key.target, kernels=name,
                path=subject.folder / subject.manifest.entry, file=asked,
                manifest=subject.answering()["manifest"],
            )  # fmt: skip
        except EdgewrightError as error:
            return Kernel(name, 0, failed=error.message[:80])
        return self._kernel(subject, name, found)

    def _on_older(self, key: Key, subject: Subject, name: str, asked: Path, place: Path) -> Kernel:
        try:
            found = older.answers(place, key.target, name, subject, asked)
        except older.Failed as error:
            return Kernel(name, 0, failed=str(error)[:80])
        return self._kernel(subject, name, found)

    def _kernel(self, subject: Subject, name: str, found: list[Any]) -> Kernel:
        arguments = {**subject.answering(), "file": subject.goldens}
        references, host = self.workers.call(subject.target.framework, JOBS, "golden_answers", **arguments)
        answers = [verdicts.as_real(one, spec) for one, spec in zip(found, arguments["manifest"]["outputs"], strict=True)]  # fmt: skip
        count = len(references[0])
        judged = [one[:count] for one in answers]
        sqnr_db, own = verdicts.pooled(references, judged), verdicts.pooled(references, host)
        decided = decisions([one[count:] for one in answers], self.case.decide)
        changed = self._changed(decided, self._answered(subject))
        board = verdicts.by_limits(subject.manifest.verdict, references, judged)
        return Kernel(name, changed, round(sqnr_db, 1), round(own - sqnr_db, 1), int(board))

    def _fault(
        self,
        workers: verdicts.Remembering,
        key: Key,
        subject: Subject,
        kind: str,
        seed: int,
        facts: Facts,
        sound: list[Any],
    ) -> None:
        for detail, planted in self._planted(key, subject, kind, seed, facts):
            try:
                said = verdicts.verdicts(workers, planted, subject.manifest.verdict)
                answered = self._answered(planted)
            except (Broken, EdgewrightError):
                continue
            row = Fault(
                kind, seed, self._changed(answered, sound), self._lost(sound, answered), said.host, int(said.board),
                round(said.sqnr_db, 1), round(said.following_db, 1), detail,
            )  # fmt: skip
            if not counts.real(row) or (said.host and said.board):
                row = msgspec.structs.replace(row, detail="")
            self.store.add(key, row)
            return
        if detail_of_none := self._applies:
            self.store.add(key, Fault(kind, seed, -1, None, detail=detail_of_none))

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

    def _redrawn(self, subject: Subject, name: str) -> Subject:
        samples = SampleSet(specs=self.specs[0])
        if name != "random":
            samples = self.pool(name.replace("other", "half")).of(self.specs[0])
        return verdicts.other_goldens(self.workers, subject, self.folder / f"{name}.npz", samples)


def _write(file: Path, arrays: list[Any]) -> None:
    np.savez(file, **{f"input_{at}": array for at, array in enumerate(arrays)})
