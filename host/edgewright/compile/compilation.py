"""One compilation: the steps from a recognised source to an artifact in the store. Imported only if the cache has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edgewright import targets
from edgewright.compile import artifact_files, machine_code, readable_files
from edgewright.compile.conversion import SOURCE_TASKS, Jobs, Stages
from edgewright.compile.data import class_names, evaluation_set, input_ranges
from edgewright.compile.data.answers import check_size
from edgewright.compile.data.evaluation_set import EvaluationSet
from edgewright.compile.data.goldens import FILE as GOLDENS
from edgewright.compile.formats import FORMATS
from edgewright.compile.manifest import Contents, calibration_notes, merged, unjudged
from edgewright.compile.quality import (
    accuracy,
    artifact_check,
    integer_range,
    kernel_spread,
    metrics,
    scored_output,
    user_comparison,
)
from edgewright.compile.quality.artifact_check import Subject
from edgewright.compile.quality.scored_output import Scored
from edgewright.compile.quality.verdict import refusal
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.recognition import Recognised
from edgewright.compile.request import CompileRequest, sample_set
from edgewright.compile.routes import Edge
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Accuracy, Artifact, TensorSpec
from edgewright.nouns.progress import Progress
from edgewright.nouns.project import MAX_DROP
from edgewright.store.artifacts import ArtifactStore


class Compilation:
    """One compilation in progress, in the folder `place`."""

    def __init__(
        self,
        request: CompileRequest,
        found: Recognised,
        edge: Edge,
        workers: Workers,
        place: Path,
        progress: Progress,
        steps: tuple[str, ...],
    ) -> None:
        self.request, self.edge, self.workers, self.place = request, edge, workers, place
        self.found, self.jobs = found, Jobs(workers, progress, steps)
        self.format = FORMATS[found.source.format]
        self.worker = self.format.worker
        self.source = SourceRef(
            path=found.path.absolute(),
            format=found.source.format,
            sha256=found.source.sha256,
            shapes=tuple(sorted(request.model.shapes.items())),
            ends=request.model.conversion.ends,
            trusted=bool(request.model.trusted),
        )

    def run(self, store: ArtifactStore, check: Callable[[], None]) -> Artifact:
        """Runs all steps in order; the last one stores the artifact.

        Args:
            check: called before that; it raises if the artifact must not be stored.
        """
        own = user_comparison.load(self.request.model.compare)
        stages = [worker for worker, _ in self.edge.route.stages]
        self.workers.may_read(readable_files.of(self.found.path, self.found.files, self.request.model))
        self.workers.start([self.worker, *map(self.format.worker_of, stages), self.edge.target.framework])
        given = sample_set(self.request.model)
        if self.format.narrow is not None:
            self.source = self.workers.call(
                self.worker, SOURCE_TASKS, "narrowed", source=self.source, folder=self.place / "signature"
            )
        inputs, outputs = self.jobs.run(self.worker, "read_the_model", source=self.source, samples=given)
        noted = self.workers.call(
            self.worker, SOURCE_TASKS, "source_notes", source=self.source, outputs=outputs
        )
        known = self.workers.call(self.worker, SOURCE_TASKS, "domains_of_inputs", source=self.source)
        names = class_names.read(self.request.model.labels)
        class_names.check(names, outputs)
        samples, labelled = given.of(inputs, known), self._labelled(inputs, outputs)
        goldens = self.place / GOLDENS
        count, origin, seen = self.jobs.run(
            self.worker,
            "compute_goldens",
            source=self.source,
            samples=samples,
            count=self.request.goldens,
            allow_constant=self.request.model.allow_constant,
            compare=self.request.model.compare,
            file=goldens,
        )
        given_to_it = seen if labelled is None else input_ranges.joined(seen, labelled[1].ranges)
        integer_range.check(self.edge.target, inputs, outputs, given_to_it, goldens)
        conversion = Stages(self.request, self.edge, self.source, self.place)
        folder, made, ranges = conversion.run(self.jobs, (inputs, outputs), samples, seen)
        found = merged(outputs, made["outputs"])
        if self.found.quantised:
            notes, changing = kernel_spread.let_in(
                self.workers, self.source, goldens, (len(inputs), found), self.place
            )
            made["notes"] += notes
            made["nondeterministic"] = [*made.get("nondeterministic", ()), *changing]
        misfits = input_ranges.misfits(inputs, known, ranges)
        made["notes"] = [*noted, *made["notes"], *misfits, *calibration_notes(self.request, self.edge)]
        if labelled is not None:
            lines = input_ranges.outside(inputs, ranges, labelled[1].ranges)
            made["notes"] += [f"evaluation set: {line}" for line in lines]
            made["notes"] += filter(None, [labelled[0].note])
        files = artifact_files.found(folder)
        files, beside = machine_code.divided(files) if self.request.cpu else (files, {})
        root, entry = self.place.parent, artifact_files.entry
        entries = (*(entry(root, folder, name) for name in files), entry(root, self.place, GOLDENS))
        floats = self.workers.call(self.worker, SOURCE_TASKS, "narrowest_floats", source=self.source)
        contents = Contents(
            files=entries,
            inputs=merged(inputs, made["inputs"]),
            outputs=found,
            count=count,
            origin=origin,
            samples=samples.count(),
            ranges=ranges,
            made=made,
            labels=names,
            floats=floats,
        )
        manifest = unjudged(self.request, self.found, self.edge, contents)
        if own is not None:
            user_comparison.check_size(manifest)
        subject = Subject(
            self.edge.target,
            self.source,
            (inputs, outputs),
            samples,
            folder,
            manifest,
            goldens,
            self.place,
            self.request.model.compare,
            floats,
        )
        with refusal.after(misfits):
            judged = self.jobs.run(
                self.edge.target.framework, "judged", within=artifact_check.__name__, **subject.judging()
            )
            checked = artifact_check.check(self.workers, subject, judged)
            if checked.low is not None and labelled is None:
                raise checked.low
            compared = None if own is None else artifact_check.compared(own, subject, checked)
            accurate = self._accuracy(labelled, folder, msgspec.to_builtins(manifest), checked.low)
        manifest = msgspec.structs.replace(
            manifest,
            parity=checked.parity,
            verdict=checked.verdict,
            notes=(*manifest.notes, *checked.notes, *accuracy.outweighed(checked.low, accurate)),
            accuracy=accurate,
            compare=compared,
        )
        check()
        return store.add({**files, GOLDENS: goldens}, manifest, beside)

    @property
    def _runner(self) -> str:
        return targets.module_name(self.edge.target.runs_on_host)

    def _labelled(
        self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> tuple[Scored, EvaluationSet] | None:
        """The metric with its output and labels, and the evaluation set; labels that do not fit are refused before the conversion."""
        request = self.request
        if request.model.evaluation is None:
            return None
        scorer = metrics.load(request.model.metric)
        labelled = evaluation_set.prepare(
            request.model.evaluation,
            inputs,
            request.model.preprocessing,
            workers=self.workers,
            fresh=not request.use_cache,
        )
        given = labelled.load_labels()
        found = scored_output.choose(scorer, given, outputs, request.model.score, names=labelled.names)
        check_size(labelled.count, found.scorer.metric.keep, outputs, found.scorer.output or 0)
        return found, labelled

    def _accuracy(
        self,
        labelled: tuple[Scored, EvaluationSet] | None,
        folder: Path,
        manifest: dict[str, Any],
        low: Unlike | None,
    ) -> Accuracy | None:
        """The accuracy, if there are labelled data. If outputs are less exact than the precision allows (`low`), a limit applies even without `max_drop`."""
        if labelled is None:
            return None
        (scorer, labels, _), given = labelled
        shared: dict[str, Any] = {
            "inputs": given.inputs,
            "keep": scorer.metric.keep,
            "output": scorer.output or 0,
        }
        source = self.jobs.run(
            self.worker, "answer_as_the_source", source=self.source, specs=manifest["outputs"], **shared
        )
        artifact = self.jobs.run(
            self.edge.target.framework,
            "answer_as_the_artifact",
            runner=self._runner,
            folder=folder,
            manifest=manifest,
            **shared,
        )
        limit = self.request.max_drop
        if low is None:
            return accuracy.of(scorer, given, labels, source, artifact, limit)
        try:
            return accuracy.of(scorer, given, labels, source, artifact, MAX_DROP if limit is None else limit)
        except accuracy.Dropped as error:
            raise low.and_so(error.message) from None
