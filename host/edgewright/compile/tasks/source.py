"""The functions that run in worker processes. Arguments and results are plain values and records."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile import machine_code
from edgewright.compile.data import first_run, goldens, input_domains, samples
from edgewright.compile.data.answers import collected, real
from edgewright.compile.data.calibration import LIMIT, SampleSet
from edgewright.compile.data.counted_values import counting
from edgewright.compile.data.input_domains import Domains
from edgewright.compile.data.input_ranges import Range, Ranges
from edgewright.compile.data.samples import as_input
from edgewright.compile.formats import FORMATS, ask, check_model
from edgewright.compile.inspection.model_trust import trusting
from edgewright.compile.sources import end_types, nan_weights, stable_shapes
from edgewright.compile.steps import run_steps
from edgewright.compile.tasks.stage import StageContext, StageResult, TensorReport
from edgewright.compile.workers import framework_errors
from edgewright.errors import Code, ConversionError, EdgewrightError, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion, Ends
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.project import Compare

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# not one: with INFERENCE_NUM_THREADS=1 OpenVINO 2026.4.1 computes some int8 models wrongly on x86-64
# exact: the verdict has to hold on boards, whatever this machine's CPU is
_OPEN: dict[Any, Any] = {}  # one artifact at most
_OPTIONS = {"threads": 2, "accelerator": "cpu", "exact": True}


class SourceRef(Noun, frozen=True, kw_only=True):
    """A source model to open: path, format, sha256, the user's shapes and ends, decisions made before it is opened, and whether the user trusts it."""

    path: Path
    format: str
    sha256: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    ends: Ends = Ends()
    notes: tuple[str, ...] = ()
    trusted: bool = False


class Order(Noun, frozen=True, kw_only=True):
    """The job of one stage.

    Attributes:
        path: the source; for a later stage, the previous stage's entry file, or else its folder.
        folder: an empty folder for this stage's files; the last stage's files become the artifact.
        entry: name of the target's entry file.
        inputs, outputs: the source's, with static shapes.
        opset, max_opset: as in `CompileRequest`.
        count: number of calibration samples.
        synthetic: the samples are random numbers, not data.
        float64: as in `Target`.
        conversion: the user's options besides target and precision.
        toolchains: name -> its Python.
        steps: names of the conversion steps that run before it, if they apply.
        cpu, twin: as in `StageContext`.
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
    cpu: Cpu | None = None
    twin: Cpu | None = None


@lru_cache(maxsize=1)
def opened(source: SourceRef) -> Any:
    """The opened source, which stays open between the jobs of one worker."""
    with trusting(source.trusted):
        model = ask(source.format, "open", source.path, dict(source.shapes), source.ends)
    check_model(source.format, model)
    if not hasattr(model, "operators"):
        model.operators = list  # names of its operators: a plug-in may not know them
    model.run = stable_shapes.SteadyRun(model, source.path)
    return model


def narrowed(source: SourceRef, folder: Path) -> SourceRef:
    """The source, or a copy of a file in which the chosen function is the one that gets opened.

    Raises:
        ModelError: there is no such signature, or there are several and none was chosen.
    """
    if FORMATS[source.format].narrow is None:
        return source
    found = ask(source.format, "narrow", source.path, source.ends.signature, folder)
    if found is None:
        return source
    if not _is_narrowed(found):
        raise FORMATS.failed(source.format, f"narrow gave {type(found).__name__}, not a path and notes")
    made, notes = found
    return msgspec.structs.replace(source, path=made, ends=Ends(), notes=notes)


def _is_narrowed(found: Any) -> bool:
    pair = isinstance(found, tuple) and len(found) == 2
    return pair and isinstance(found[0], Path) and isinstance(found[1], tuple)


def read_the_model(
    source: SourceRef, samples: SampleSet
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """(inputs, outputs) with static shapes; output shapes are found by running the model.

    Args:
        samples: the samples to run it on; their `specs` are not known yet.

    Raises:
        ModelError: it does not load, has dynamic shapes, lacks an input that a shape was given for, does not run, or has
            outputs of a type that boards do not support.
        DataError: the calibration data do not fit.
    """
    model = opened(source)
    for spec in model.inputs:
        if spec.dtype.startswith("complex"):
            raise end_types.no_tensor("input", spec.name, source.path, end_types.COMPLEX)
    known = () if samples.path else domains_of_inputs(source)
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
    """Assumptions about the source, for the manifest, one line each."""
    model = opened(source)
    firsts = {spec.shape[0] if spec.shape else 1 for spec in (*model.inputs, *outputs)}
    batch = firsts.pop() if len(firsts) == 1 else 1
    fixed = f"the batch is fixed at {batch}: each inference takes {batch} samples" if batch > 1 else ""
    loose = stable_shapes.loose_notes(model, [spec.shape for spec in outputs])
    return tuple(filter(None, (*source.notes, *model.notes, fixed, *loose)))


def narrowest_floats(source: SourceRef) -> str:
    """The narrowest float type that the model computes in, such as `float16`: its own outputs are no more exact."""
    model = opened(source)
    return str(model.narrowest()) if hasattr(model, "narrowest") else "float32"


@lru_cache(maxsize=1)
def domains_of_inputs(source: SourceRef) -> Domains:
    """What the model's first layers reveal about the values of each input."""
    model = opened(source)
    return first_run.confirmed(model, input_domains.of(model))


def compute_goldens(
    source: SourceRef, samples: SampleSet, count: int, allow_constant: bool, compare: Compare, file: Path
) -> tuple[int, str, tuple[Range, ...]]:
    """Writes the goldens to `file`. Returns (count, origin, ranges of the data that were read).

    Raises:
        UsageError: the mask that `compare` names does not fit.
        ConversionError: all outputs are the same, or one is not finite.
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

    Returns the stage's result: a `StageResult` with everything that the manifest needs filled in. `ranges` are those of
    the samples that it read.
    """
    stage: Callable[[StageContext], StageResult | None] = importlib.import_module(module).convert
    failed: list[Exception] = []
    seen = Ranges(samples.specs)

    def stream(limit: int = LIMIT) -> Iterator[list[Array]]:
        try:
            yield from seen.watched(samples.stream(limit))
        except Exception as error:  # kept: converters hide exceptions of their data source
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
    """A stage's result with defaults filled in, from the source where they apply.

    Raises:
        ConversionError: the result is not valid.
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
    """Adds to an error where in the opened source a converter gave up, if known; turns exceptions that are not edgewright's into errors.

    Raises:
        ConversionError: for a framework's exception.
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
    """The artifact's outputs for one sample after another, computed by the target's own runner; it stays open until `close_artifact`.

    Args:
        samples: in the form of the source's inputs; they are converted to the artifact's.

    Raises:
        ConversionError: the runtime or this machine cannot run it, or its outputs have other shapes.
    """
    session = _session(runner, folder, manifest)
    specs = msgspec.convert(manifest["inputs"], tuple[TensorSpec, ...])
    for row in samples:
        sample = [as_input(array, spec) for array, spec in zip(row, specs, strict=True)]
        yield _answer(session, sample, manifest["outputs"])


def close_artifact() -> None:
    """Closes the artifact that `artifact_answers` left open for more samples."""
    while _OPEN:
        _OPEN.popitem()[1].close()


def _session(runner: str, folder: Path, manifest: dict[str, Any]) -> Any:
    """The artifact, opened once for all who ask in a row: loading a small one costs more than running it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".npz")
    stats = [(str(file), about.st_mtime_ns, about.st_size) for file in files for about in [file.stat()]]
    key = (runner, manifest["entry"], *stats)
    if key not in _OPEN:
        close_artifact()
        _OPEN[key] = _loaded(runner, folder, manifest)
    return _OPEN[key]


def _loaded(runner: str, folder: Path, manifest: dict[str, Any]) -> Any:
    """The artifact, or its counterpart for this machine, in a new session."""
    folder, manifest = machine_code.runnable(folder, manifest)
    module = importlib.import_module(runner)
    try:
        return module.load(str(folder), manifest, _OPTIONS)
    except getattr(module, "ModelRefused", ()) as error:
        raise ConversionError(str(error), hint=error.hint, code=Code.MODEL_REFUSED) from error


def answer_as_the_source(
    source: SourceRef, specs: list[dict[str, Any]], inputs: Path, keep: str, output: int = 0
) -> bytes:
    """The source framework's outputs for a set of `evaluation_set.prepare`, as packed real values.

    Args:
        specs: the manifest's outputs: a quantised source that is passed through has the same scales.
        keep, output: as in `answers.collected`.
    """
    model = opened(source)

    def run(sample: list[Array]) -> list[Array]:
        return [real(array, spec) for array, spec in zip(model.run(sample), specs, strict=True)]

    return collected(run, samples.samples(inputs, samples.placed(model.inputs), None), keep, output).packed()


def answer_as_the_artifact(
    runner: str, folder: Path, manifest: dict[str, Any], inputs: Path, keep: str, output: int = 0
) -> bytes:
    """The artifact's outputs, computed by the target's own runner, as packed real values."""
    session = _loaded(runner, folder, manifest)
    specs = msgspec.convert(manifest["inputs"], tuple[TensorSpec, ...])

    def run(sample: list[Array]) -> list[Array]:
        answers = _answer(session, sample, manifest["outputs"])
        return [real(array, spec) for array, spec in zip(answers, manifest["outputs"], strict=True)]

    answers = collected(run, samples.samples(inputs, samples.placed(specs), None), keep, output)
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
