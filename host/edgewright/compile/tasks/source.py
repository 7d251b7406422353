"""The functions that run in worker processes. Arguments and results are plain values and records."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data import first_run, goldens
from edgewright.compile.data import input_domains as domains
from edgewright.compile.data import samples as data
from edgewright.compile.data.answers import collected, real
from edgewright.compile.data.calibration import LIMIT, SampleSet
from edgewright.compile.data.counted_values import counting
from edgewright.compile.data.input_domains import Domains
from edgewright.compile.data.input_ranges import Range, Ranges
from edgewright.compile.formats import FORMATS
from edgewright.compile.sources import end_types, nan_weights, stable_shapes
from edgewright.compile.steps import run_steps
from edgewright.compile.tasks.stage import StageContext, StageResult, TensorReport
from edgewright.compile.workers import framework_errors
from edgewright.errors import Code, ConversionError, EdgewrightError, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion, Ends
from edgewright.nouns.project import Compare

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# not one thread: with INFERENCE_NUM_THREADS=1 OpenVINO 2026.4.1 answers some int8 models wrongly on x86-64
# exact: the verdict holds for boards, whatever this machine's CPU is
_OPTIONS = {"threads": 2, "accelerator": "cpu", "exact": True}


class SourceRef(Noun, frozen=True, kw_only=True):
    """A source model to open: where, what, its bytes' sha256, the shapes and ends that the user gave,
    and what was decided about it before it is opened."""

    path: Path
    format: str
    sha256: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    ends: Ends = Ends()
    notes: tuple[str, ...] = ()


class Order(Noun, frozen=True, kw_only=True):
    """What one stage has to do.

    Attributes:
        path: the source; for a later stage the entry file that the stage before made, or else its folder.
        folder: empty, for what this stage makes; the last stage's files are the artifact's.
        entry: name of the target's entry file.
        inputs, outputs: the source's, with static shapes.
        opset, max_opset: as in `CompileRequest`.
        count: how many calibration samples there are. synthetic: they are random numbers, not data.
        float64: as in `Target`.
        conversion: what the user says of it beyond target and precision.
        toolchains: name -> its Python.
        steps: names of the conversion steps that run before it, where they apply.
    """

    path: Path
    folder: Path
    entry: str
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    count: int
    max_opset: int | None = None
    synthetic: bool = False
    float64: bool = False
    conversion: Conversion = Conversion()
    toolchains: dict[str, Path] = {}
    steps: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def opened(source: SourceRef) -> Any:
    """The opened source: it stays open between the jobs of one worker."""
    model = FORMATS[source.format].open(source.path, dict(source.shapes), source.ends)
    model.run = stable_shapes.SteadyRun(model, source.path)
    return model


def narrowed(source: SourceRef, folder: Path) -> SourceRef:
    """The source; of a file whose chosen function is not the one that is opened, a copy in which it is.

    Raises:
        ModelError: there is no such signature, or none was chosen of several.
    """
    narrow = FORMATS[source.format].narrow
    found = None if narrow is None else narrow(source.path, source.ends.signature, folder)
    if found is None:
        return source
    made, notes = found
    return msgspec.structs.replace(source, path=made, ends=Ends(), notes=notes)


def read_the_model(
    source: SourceRef, samples: SampleSet
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """(inputs, outputs) with static shapes; output shapes are found by running it.

    Args:
        samples: what to run it on; their `specs` are not known yet.

    Raises:
        ModelError: it does not load, has dynamic shapes, lacks an input that a shape was given for, does not run, or answers
            in something that boards have no numbers for.
        DataError: the calibration data do not fit.
    """
    model = opened(source)
    for spec in model.inputs:
        if spec.dtype.startswith("complex"):
            raise end_types.no_tensor("input", spec.name, source.path, end_types.COMPLEX)
    known = () if samples.path else input_domains(source)
    answers = first_run.answers(model, samples.of(model.inputs, known), source.path)
    names = model.output_names
    if len(names) != len(answers):
        names = tuple(f"output_{index}" for index in range(len(answers)))
    for name, answer in zip(names, answers, strict=True):
        if answer.dtype.kind not in "fiub":
            raise ModelError(
                f"output {name} of {source.path.name} holds {answer.dtype.name}: boards answer in floats, whole numbers and booleans",
                hint="end the model before that output, or turn it into one of those",
                code=Code.OUTPUT_KIND,
            )
    outputs = tuple(
        TensorSpec(name=name, shape=tuple(answer.shape), dtype=answer.dtype.name)
        for name, answer in zip(names, answers, strict=True)
    )
    return model.inputs, outputs


def source_notes(source: SourceRef, outputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """What was assumed of the source, for the manifest, one line each."""
    model = opened(source)
    firsts = {spec.shape[0] if spec.shape else 1 for spec in (*model.inputs, *outputs)}
    batch = firsts.pop() if len(firsts) == 1 else 1
    fixed = f"the batch is fixed at {batch}: each inference takes {batch} samples" if batch > 1 else ""
    loose = stable_shapes.loose_notes(model, [spec.shape for spec in outputs])
    return tuple(filter(None, (*source.notes, *model.notes, fixed, *loose)))


def narrowest_floats(source: SourceRef) -> str:
    """The narrowest floats that the model computes in, such as `float16`: its own answers are no more exact."""
    model = opened(source)
    return str(model.narrowest()) if hasattr(model, "narrowest") else "float32"


@lru_cache(maxsize=1)
def input_domains(source: SourceRef) -> Domains:
    """What the model's first layers show of the numbers that each input takes."""
    model = opened(source)
    return first_run.confirmed(model, domains.of(model))


def compute_goldens(
    source: SourceRef, samples: SampleSet, count: int, allow_constant: bool, compare: Compare, file: Path
) -> tuple[int, str, tuple[Range, ...]]:
    """Writes the goldens to `file`. Returns (how many, their origin, the ranges of the data that were looked at).

    Raises:
        UsageError: the mask that `compare` names does not fit.
        ConversionError: every answer is the same, or one is not finite.
        DataError: the calibration data do not fit.
    """
    model = opened(source)
    seen = Ranges(model.inputs)
    inputs, outputs, origin = goldens.compute(model, samples, count, seen)
    counts = counting(compare.mask, model.inputs, inputs, outputs)
    goldens.refuse_not_finite(outputs, counts, model.output_names, origin, nan_weights.not_a_number(model))
    if not allow_constant:
        goldens.refuse_constant(outputs)
    goldens.save(file, inputs, outputs, counts)
    return len(inputs[0]), origin, seen.found


def convert(
    module: str,
    source: SourceRef,
    open_source: bool,
    samples: SampleSet,
    order: Order,
) -> dict[str, Any]:
    """Runs one stage, a target's module, on a `StageContext`.

    Returns what the stage says, a `StageResult` with nothing left out that the manifest needs. `ranges` are those of the
    samples that it took.
    """
    stage: Callable[[StageContext], StageResult | None] = importlib.import_module(module).convert
    failed: list[Exception] = []
    seen = Ranges(samples.specs)

    def stream(limit: int = LIMIT) -> Iterator[list[Array]]:
        try:
            yield from seen.watched(samples.stream(limit))
        except Exception as error:  # kept: converters hide what their data source raises
            failed.append(error)
            raise

    model = opened(source) if open_source else None
    try:
        context = StageContext(model, stream, order)
        noted = run_steps(order.steps, context)
        found = _completed(stage(context) or {}, module, order)
    except Exception as error:
        if failed:
            raise failed[0] from None
        located(error, model)
        raise
    return {**found, "notes": [*noted, *found["notes"]], "ranges": seen.found}


def _completed(found: StageResult, module: str, order: Order) -> StageResult:
    """What a stage says; what it leaves out is as in the source, or is none.

    Raises:
        ConversionError: it says something else than it may.
    """
    inputs, outputs = (
        [TensorReport(name=one.name, dtype=one.dtype) for one in specs]
        for specs in (order.inputs, order.outputs)
    )
    least = StageResult(inputs=inputs, outputs=outputs, requires={}, method="", notes=[])
    try:
        return {**least, **msgspec.convert(found, StageResult)}
    except msgspec.ValidationError as error:
        raise ConversionError(
            f"stage {module} returned what is no StageResult: {error}",
            hint="it is a fault of that target: report it to who made it",
            code=Code.STAGE_RESULT,
        ) from error


def located(error: Exception, model: Any) -> None:
    """Adds where in the opened source a converter gave up, where that is known; raises what is not our own error yet.

    Raises:
        ConversionError: of a framework's exception.
    """
    where = getattr(model, "where", None)
    place = where(error) if where is not None else ""
    if not isinstance(error, EdgewrightError):
        raise framework_errors.refused(error, place) from error
    if error.code in framework_errors.CONVERTERS and place and place not in error.message:
        error.message += place
        error.args = (error.message,)


def artifact_answers(
    runner: str, folder: Path, manifest: dict[str, Any], samples: Iterable[Sequence[Array]]
) -> Iterator[list[Array]]:
    """The artifact's answers to one sample after another, by the target's own runner.

    Args:
        samples: the source's inputs; they become the artifact's.

    Raises:
        ConversionError: the runtime has no way to run it, or its outputs have other shapes.
    """
    module = importlib.import_module(runner)
    try:
        session = module.load(str(folder), manifest, _OPTIONS)
    except getattr(module, "ModelRefused", ()) as error:
        raise ConversionError(str(error), hint=error.hint, code=Code.MODEL_REFUSED) from error
    specs = msgspec.convert(manifest["inputs"], tuple[TensorSpec, ...])
    for row in samples:
        sample = [data.as_input(array, spec) for array, spec in zip(row, specs, strict=True)]
        yield _answer(session, sample, manifest["outputs"])
    session.close()


def answer_as_the_source(
    source: SourceRef, specs: list[dict[str, Any]], inputs: Path, keep: str, output: int = 0
) -> bytes:
    """The source framework's answers to a set of `evaluation.prepare`, real values, packed.

    Args:
        specs: the manifest's outputs: a quantised source that goes through as it is has the same scales.
        keep, output: as of `answers.collected`.
    """
    model = opened(source)

    def run(sample: list[Array]) -> list[Array]:
        return [real(array, spec) for array, spec in zip(model.run(sample), specs, strict=True)]

    return collected(run, data.samples(inputs, data.placed(model.inputs), None), keep, output).packed()


def answer_as_the_artifact(
    runner: str, folder: Path, manifest: dict[str, Any], inputs: Path, keep: str, output: int = 0
) -> bytes:
    """The artifact's answers by the target's own runner, real values, packed."""
    session = importlib.import_module(runner).load(str(folder), manifest, _OPTIONS)
    specs = msgspec.convert(manifest["inputs"], tuple[TensorSpec, ...])

    def run(sample: list[Array]) -> list[Array]:
        answers = _answer(session, sample, manifest["outputs"])
        return [real(array, spec) for array, spec in zip(answers, manifest["outputs"], strict=True)]

    answers = collected(run, data.samples(inputs, data.placed(specs), None), keep, output)
    session.close()
    return answers.packed()


def _answer(session: Any, sample: Any, specs: list[dict[str, Any]]) -> list[Array]:
    import numpy as np

    raw = session.read(session.infer(session.feed([array.tobytes() for array in sample])))
    try:
        return [
            np.frombuffer(data, spec["dtype"]).reshape(spec["shape"])
            for data, spec in zip(raw, specs, strict=True)
        ]
    except ValueError as error:
        raise ConversionError(
            f"artifact's outputs have other shapes than the source's: {error}",
            hint="the converter changed the model; try another target",
            code=Code.PARITY,
        ) from error
