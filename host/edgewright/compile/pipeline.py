"""compile_model: from a source model to an artifact in the store."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from edgewright import targets
from edgewright.compile import routes
from edgewright.compile.cache_key import cache_key, source_framework, tools
from edgewright.compile.data import class_names, evaluation_set, input_ranges
from edgewright.compile.data.answers import check_size
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.data.evaluation_set import EvaluationSet
from edgewright.compile.data.goldens import FILE as GOLDENS
from edgewright.compile.data.goldens import LEAST
from edgewright.compile.formats import FORMATS, stage_module
from edgewright.compile.inspection import code_fingerprint
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
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.recognition import Recognised, recognise
from edgewright.compile.request import CompileRequest, Plan, check_limit, sample_set
from edgewright.compile.routes import Edge
from edgewright.compile.tasks.source import Order, SourceRef
from edgewright.compile.toolchains import environments
from edgewright.compile.workers import scratch
from edgewright.compile.workers.framework_errors import CONVERTERS, with_ways
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.errors import ConversionError, UsageError
from edgewright.nouns.artifact import Accuracy, Artifact, Calibration, Goldens, Manifest, Parity, TensorSpec
from edgewright.nouns.model_input import DataFile
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.nouns.project import MAX_DROP
from edgewright.precisions import PRECISIONS, limits
from edgewright.store import cache
from edgewright.store.artifacts import SCHEMA, ArtifactStore, entry

_JOBS = "edgewright.compile.tasks.source"


def plan(request: CompileRequest) -> Plan:
    """What `compile_model` would do. Imports no framework and makes no artifact.

    Raises:
        ModelError, DataError, UsageError, ConversionError: the request cannot be met.
    """
    return _settle(request)[2]


def compile_model(
    request: CompileRequest, progress: Progress = silent, workers: Workers | None = None
) -> Artifact:
    """Makes the artifact, or takes it from the cache.

    Args:
        workers: those of the command, so that several compilations share them; without, this one has its own.

    Raises:
        ModelError: the source is missing, damaged, misnamed, or has dynamic shapes that were not given.
        DataError: calibration or evaluation data do not fit.
        UsageError: unknown target or precision, calibration that is missing, or `max_drop` without labelled data.
        ConversionError: no such way; a converter failed or crashed; the answers stray further than the
            precision's tolerance; the accuracy falls by more than `max_drop`. Nothing is stored then.
    """
    bound = cache.limit()
    found, edge, planned = _settle(request)
    store = ArtifactStore(home.folder("artifacts"))
    if request.use_cache and (artifact := store.cached(planned.key)):
        progress(Step(what="convert", detail=f"cached {artifact.id[:12]}", done=1, total=1))
        return artifact
    with scratch.folder() as place, ExitStack() as stack:
        used = workers or stack.enter_context(Workers(home.folder("logs") / "convert.log"))
        try:
            artifact = _Compilation(request, found, edge, used, place, progress, planned.steps).run(store)
        except ConversionError as error:
            if error.code in CONVERTERS:
                with_ways(error, routes.elsewhere(edge))
            raise
    if code_fingerprint.unchanged():
        store.remember(planned.key, artifact)
    cache.prune(max_bytes=bound)
    return artifact


def _settle(request: CompileRequest) -> tuple[Recognised, Edge, Plan]:
    metrics.check_name(request.model.metric)
    user_comparison.check_name(request.model.compare)
    if request.goldens < LEAST:
        raise UsageError(
            f"too few goldens: {request.goldens}", hint=f"at least {LEAST} show a wrong answer reliably"
        )
    check_limit(request.max_drop, request.model)
    found = recognise(request.model.source)
    edge = routes.edge(found, request)
    key = cache_key(found, request, edge, tools(edge))
    artifact = ArtifactStore(home.folder("artifacts")).cached(key) if request.use_cache else None
    steps = ["read the model", "compute goldens"]
    steps += [f"convert ({framework})" for framework, _ in edge.route.stages]
    steps += ["check answers"]
    if request.model.evaluation is not None:
        steps += ["score the source", "score the artifact"]
    planned = Plan(
        source=found.source,
        target=edge.target.name,
        precision=edge.precision,
        steps=tuple(steps),
        key=key,
        artifact=None if artifact is None else artifact.id,
    )
    return found, edge, planned


class _Compilation:
    """One compilation that is under way in the folder `place`."""

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
        self.found, self.progress, self.steps, self.done = found, progress, steps, 0
        self.format = FORMATS[found.source.format]
        self.framework = self.format.framework
        self.ranges: tuple[tuple[float, float], ...] = ()
        self.source = SourceRef(
            path=found.path.absolute(),
            format=found.source.format,
            sha256=found.source.sha256,
            shapes=tuple(sorted(request.model.shapes.items())),
            ends=request.model.conversion.ends,
        )

    def run(self, store: ArtifactStore) -> Artifact:
        """All steps, in order; the artifact is stored at the end."""
        own = user_comparison.load(self.request.model.compare)
        stages = [worker for worker, _ in self.edge.route.stages]
        self.workers.start([self.framework, *stages, self.edge.target.framework])
        given = sample_set(self.request.model)
        if self.format.narrow is not None:
            self.source = self.workers.call(
                self.framework, _JOBS, "narrowed", source=self.source, folder=self.place / "signature"
            )
        inputs, outputs = self._job(self.framework, "read_the_model", source=self.source, samples=given)
        noted = self.workers.call(self.framework, _JOBS, "source_notes", source=self.source, outputs=outputs)
        known = self.workers.call(self.framework, _JOBS, "input_domains", source=self.source)
        names = class_names.read(self.request.model.labels)
        class_names.check(names, outputs)
        samples, labelled = given.of(inputs, known), self._labelled(inputs, outputs)
        goldens = self.place / GOLDENS
        count, origin, self.ranges = self._job(
            self.framework,
            "compute_goldens",
            source=self.source,
            samples=samples,
            count=self.request.goldens,
            allow_constant=self.request.model.allow_constant,
            compare=self.request.model.compare,
            file=goldens,
        )
        given_to_it = (
            self.ranges if labelled is None else input_ranges.joined(self.ranges, labelled[1].ranges)
        )
        integer_range.check(self.edge.target, inputs, outputs, given_to_it, goldens)
        folder, made = self._convert(inputs, outputs, samples)
        found = _merged(outputs, made["outputs"])
        if self.found.quantised:
            notes, changing = kernel_spread.let_in(
                self.workers, self.source, goldens, (len(inputs), found), self.place
            )
            made["notes"] += notes
            made["nondeterministic"] = [*made.get("nondeterministic", ()), *changing]
        made["notes"] = [*noted, *made["notes"], *input_ranges.misfits(inputs, known, self.ranges)]
        if labelled is not None:
            lines = input_ranges.outside(inputs, self.ranges, labelled[1].ranges)
            made["notes"] += [f"evaluation set: {line}" for line in lines]
            made["notes"] += filter(None, [labelled[0].note])
        files = {
            item.relative_to(folder).as_posix(): item for item in sorted(folder.rglob("*")) if item.is_file()
        }
        entries = (*(entry(folder, path) for path in files), entry(self.place, GOLDENS))
        versions = tools(self.edge)
        floats = self.workers.call(self.framework, _JOBS, "narrowest_floats", source=self.source)
        tolerance = limits(self.edge.precision, floats).tolerance
        manifest = Manifest(
            schema=SCHEMA,
            source=self.found.source,
            target=self.edge.target.name,
            precision=self.edge.precision,
            entry=self.edge.target.entry,
            files=entries,
            inputs=_merged(inputs, made["inputs"]),
            outputs=found,
            goldens=Goldens(
                file=GOLDENS,
                count=count,
                origin=origin,
                framework=source_framework(self.edge, versions),
                tolerance=tolerance,
            ),
            parity=_UNMEASURED,
            route=tuple(f"{worker}:{module}" for worker, module in self.edge.route.stages),
            kept_float=tuple(made.get("kept_float", ())),
            notes=tuple(made.get("notes", ())),
            nondeterministic=tuple(made.get("nondeterministic", ())),
            requires=made["requires"],
            tools=versions,
            calibration=self._calibration(samples, made["method"]),
            preprocessing=self.request.model.preprocessing,
            labels=names,
        )
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
        judged = self._job(
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
        return store.add({**files, GOLDENS: goldens}, manifest)

    def _job(self, framework: str, function: str, /, within: str = _JOBS, **kwargs: Any) -> Any:
        what = self.steps[self.done] if self.done < len(self.steps) else function.replace("_", " ")
        self.progress(Step(what="convert", detail=what, done=self.done, total=len(self.steps)))
        result = self.workers.call(framework, within, function, **kwargs)
        self.done += 1
        return result

    @property
    def _runner(self) -> str:
        return targets.module_name(self.edge.target.runs_on_host)

    def _convert(
        self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], samples: SampleSet
    ) -> tuple[Path, dict[str, Any]]:
        """Runs the stages, each in its own folder. Returns the last folder and what its stage returned."""
        path, made, folder = self.source.path, {}, self.place
        notes: list[str] = []
        last = len(self.edge.route.stages) - 1
        for index, (framework, module) in enumerate(self.edge.route.stages):
            folder = self.place / f"stage{index}"
            folder.mkdir()
            made = self._job(
                framework,
                "convert",
                module=stage_module(self.edge.source, module),
                source=self.source,
                open_source=framework == self.framework,
                samples=samples,
                order=Order(
                    path=path,
                    folder=folder,
                    entry=self.edge.target.entry,
                    precision=self.edge.made,
                    inputs=inputs,
                    outputs=outputs,
                    opset=self.request.opset,
                    max_opset=min(
                        filter(None, (self.request.max_opset, self.edge.target.max_opset)), default=None
                    ),
                    count=samples.count(),
                    synthetic=samples.path is None,
                    float64=self.edge.target.float64,
                    conversion=self.request.model.conversion,
                    toolchains={name: environments.python_of(name) for name in self.edge.route.toolchains},
                    steps=self.edge.steps if index == last else (),
                ),
            )
            produced = folder / self.edge.target.entry
            path = produced if produced.is_file() else folder
            notes += [note for note in made["notes"] if note not in notes]
            self.ranges = input_ranges.joined(self.ranges, made["ranges"]) if samples.path else ()
        return folder, {**made, "notes": notes}

    def _calibration(self, samples: SampleSet, method: str) -> Calibration:
        if not PRECISIONS[self.edge.precision].calibrated:
            return Calibration(ranges=self.ranges)  # of the data that the goldens were chosen from
        given = self.request.model.calibration
        return Calibration(
            kind="data" if isinstance(given, DataFile) else "synthetic",
            sha256=given.sha256 if isinstance(given, DataFile) else "",
            samples=samples.count(),
            method=method,
            ranges=self.ranges,
        )

    def _labelled(
        self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> tuple[Scored, EvaluationSet] | None:
        """The metric of which output with the labels as it takes them, and the evaluation set; wrong ones are refused early."""
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
        """The accuracy, where there is labelled data. It has a limit where answers are less exact than they may be (`low`)."""
        if labelled is None:
            return None
        (scorer, labels, _), given = labelled
        shared: dict[str, Any] = {
            "inputs": given.inputs,
            "keep": scorer.metric.keep,
            "output": scorer.output or 0,
        }
        source = self._job(
            self.framework, "answer_as_the_source", source=self.source, specs=manifest["outputs"], **shared
        )
        artifact = self._job(
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


_UNMEASURED = Parity(max_abs=0.0, max_relative=0.0, cosine=0.0, sqnr_db=0.0, top1_agreement=0.0, count=0)


def _merged(specs: tuple[TensorSpec, ...], found: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    """The source's names and shapes with the dtypes and scales that the artifact has, and its file's own names."""
    if len(specs) != len(found):
        raise ConversionError(
            f"artifact has {len(found)} tensors where the source has {len(specs)}",
            hint="the converter dropped or added one; try another target",
        )
    rows = zip(specs, found, strict=True)
    return tuple(
        msgspec.structs.replace(spec, **{**own, **_names(spec.name, own["name"])}) for spec, own in rows
    )


def _names(source: str, own: str) -> dict[str, Any]:
    return {"name": source, "tensor": UNSET if own == source else own}
