"""What runs in the worker processes. Arguments and results are plain values and nouns."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile import data, goldens, parity
from edgewright.compile.calibrate import SampleSet, random_samples
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Parity, TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion, Ends
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SOURCES = {
    "keras": "tensorflow",
    "h5": "tensorflow",
    "savedmodel": "tensorflow",
    "onnx": "onnx",
    "tflite": "litert",
    "frozen": "tensorflow",
    "pt2": "torch",
    "pytorch": "torch",
    "ir": "openvino",
}

# not one thread: with INFERENCE_NUM_THREADS=1 OpenVINO 2026.4.1 answers some int8 models wrongly on x86-64
_OPTIONS = {"threads": 2, "accelerator": "cpu"}


class SourceRef(Noun, frozen=True, kw_only=True):
    """A source model to open: where, what, and the shapes and ends that the user gave."""

    path: Path
    format: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    ends: Ends = Ends()


class Order(Noun, frozen=True, kw_only=True):
    """What one stage has to do.

    Attributes:
        path: the source; for a later stage the entry file that the stage before made, or else its folder.
        folder: empty, for what this stage makes; the last stage's files are the artifact's.
        entry: name of the target's entry file.
        inputs, outputs: the source's, with static shapes.
        opset: newest ONNX opset that may be produced.
        count: how many calibration samples there are.
        conversion: what the user says of it beyond target and precision.
        toolchains: name -> its Python.
    """

    path: Path
    folder: Path
    entry: str
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    count: int
    conversion: Conversion = Conversion()
    toolchains: dict[str, Path] = {}


class Work:
    """What a stage's `convert` is given: its Order's attributes, and

    Attributes:
        source: the opened source model, where the stage runs in the source's own worker, else None.
        samples: gives a fresh stream of calibration samples, each a list of arrays in the order of `inputs`.
    """

    def __init__(self, source: Any, samples: Callable[[], Iterator[list[Array]]], order: Order) -> None:
        self.source, self.samples = source, samples
        self.path, self.folder, self.entry = order.path, order.folder, order.entry
        self.precision, self.opset, self.count = order.precision, order.opset, order.count
        self.inputs, self.outputs = order.inputs, order.outputs
        self.keep_float = order.conversion.keep_float
        self.calibration_method, self.integer_io = (
            order.conversion.calibration_method,
            order.conversion.integer_io,
        )
        self.toolchains = order.toolchains


@lru_cache(maxsize=1)
def opened(source: SourceRef) -> Any:
    """The opened source: it stays open between the jobs of one worker."""
    module = importlib.import_module(f"edgewright.compile.sources.{SOURCES[source.format]}")
    return module.open_model(source.path, source.format, dict(source.shapes), source.ends)


def read_the_model(source: SourceRef) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """(inputs, outputs) with static shapes; output shapes are found by running it once.

    Raises:
        ModelError: it does not load, has dynamic shapes, or lacks an input that a shape was given for.
    """
    model = opened(source)
    answers = model.run(next(random_samples(model.inputs, 1)))
    names = model.output_names
    if len(names) != len(answers):
        names = tuple(f"output_{index}" for index in range(len(answers)))
    outputs = tuple(
        TensorSpec(name=name, shape=tuple(answer.shape), dtype=answer.dtype.name)
        for name, answer in zip(names, answers, strict=True)
    )
    return model.inputs, outputs


def compute_goldens(
    source: SourceRef, samples: SampleSet, count: int, allow_constant: bool, file: Path
) -> tuple[int, str]:
    """Writes the goldens to `file`. Returns (how many, their origin).

    Raises:
        ConversionError: every answer is the same.
        DataError: the calibration data do not fit.
    """
    inputs, outputs, origin = goldens.compute(opened(source), samples, count)
    if not allow_constant:
        goldens.refuse_constant(outputs)
    goldens.save(file, inputs, outputs)
    return len(inputs[0]), origin


def convert(
    module: str,
    source: SourceRef,
    open_source: bool,
    samples: SampleSet,
    order: Order,
) -> dict[str, Any]:
    """Runs one stage, a target's module, on a `Work`.

    Returns what the stage says. The last one of a route says `inputs` and `outputs` (name, dtype and, where
    there are any, scale and zero_point, in the source's order), `requires` (as in the manifest) and `method`
    (of calibration), and may add `kept_float` (names of the layers that really stayed in floats) and `notes`.
    """
    stage: Callable[[Any], dict[str, Any] | None] = importlib.import_module(module).convert
    failed: list[Exception] = []

    def stream() -> Iterator[list[Array]]:
        try:
            yield from samples.stream()
        except Exception as error:  # kept: converters hide what their data source raises
            failed.append(error)
            raise

    try:
        found = stage(Work(opened(source) if open_source else None, stream, order))
    except Exception:
        if failed:
            raise failed[0] from None
        raise
    return found or {}


def check_answers(
    runner: str, folder: Path, manifest: dict[str, Any], file: Path, counts: tuple[int, int]
) -> Parity:
    """Runs the artifact by the target's own runner on all goldens."""
    import numpy as np

    inputs, outputs = goldens.load(file, *counts)
    session = importlib.import_module(runner).load(str(folder), manifest, _OPTIONS)
    answers: list[list[Array]] = []
    for row in zip(*inputs, strict=True):
        answers.append(_answer(session, row, manifest["outputs"]))
    session.close()
    return parity.compare(outputs, [np.stack(column) for column in zip(*answers, strict=True)])


def score_the_source(
    source: SourceRef, evaluation: Path, preprocessing: Preprocessing | None
) -> tuple[float, int]:
    """(top1 of the source framework, samples)."""
    model = opened(source)
    return _top1(model.run, evaluation, model.inputs, preprocessing)


def score_the_artifact(
    runner: str, folder: Path, manifest: dict[str, Any], evaluation: Path, preprocessing: Preprocessing | None
) -> tuple[float, int]:
    """(top1 of the artifact by the target's own runner, samples)."""
    session = importlib.import_module(runner).load(str(folder), manifest, _OPTIONS)
    specs = msgspec.convert(manifest["inputs"], tuple[TensorSpec, ...])

    def run(sample: list[Array]) -> list[Array]:
        return _answer(session, sample, manifest["outputs"])

    scored = _top1(run, evaluation, specs, preprocessing)
    session.close()
    return scored


def _top1(
    run: Callable[[list[Array]], list[Array]],
    evaluation: Path,
    specs: tuple[TensorSpec, ...],
    preprocessing: Preprocessing | None,
) -> tuple[float, int]:
    labels = data.labels(evaluation)
    right = count = 0
    for sample, label in zip(data.samples(evaluation, specs, preprocessing), labels, strict=True):
        right += int(run(sample)[0].reshape(-1).argmax() == label)
        count += 1
    return right / count, count


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
            code="parity",
        ) from error
