"""Golden inputs and the source framework's outputs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from edgewright.compile.data import first_run, goldens_selection
from edgewright.compile.data.calibration import SampleSet, distinct, random_samples
from edgewright.compile.data.input_ranges import Range, Ranges
from edgewright.errors import Code, ConversionError, ModelError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FILE = "goldens.npz"
LEAST = 8
_CONSTANT = 1e-6  # outputs that differ by less than this share of their magnitude count as equal
_CANDIDATES = 4  # candidates per golden; the source runs on all of them
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Runs(Protocol):
    """Runs one sample; an opened source does."""

    inputs: tuple[TensorSpec, ...]

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        ...


def compute(
    source: Runs, samples: SampleSet, count: int, seen: Ranges | None = None
) -> tuple[list[Array], list[Array], str]:
    """(inputs, outputs, origin): arrays of shape (count, *spec.shape); `random` if any input is random.

    Args:
        seen: collects the ranges of the calibration data that are read.

    Raises:
        ModelError: the source does not run on one of them.
    """
    given = _chosen(source, samples, count, seen or Ranges(source.inputs)) if samples.path else []
    short = max(LEAST, count) - len(given) if len(given) < LEAST else 0
    made = list(random_samples(source.inputs, short, samples.domains))
    answers = [first_run.run(source, sample, samples) for sample in given]
    answers += _filled(source, made, samples, len(given))
    origin = "random" if short else "calibration"
    return _stacked([*given, *made]), _stacked(answers), origin


def _filled(
    source: Runs, made: Sequence[Sequence[Array]], samples: SampleSet, given: int
) -> list[list[Array]]:
    """The outputs for the random samples that make up for missing data."""
    try:
        return [first_run.run(source, sample, msgspec.structs.replace(samples, path=None)) for sample in made]
    except ModelError as error:
        if samples.path is None:
            raise
        name = samples.path.name
        raise ModelError(
            f"only {given} distinct samples in {name}; {LEAST} are needed, and the model does not run on random ones",
            hint=f"add samples to {name}",
            code=error.code,
        ) from error


def _chosen(source: Runs, samples: SampleSet, count: int, seen: Ranges) -> list[list[Array]]:
    """Inputs chosen by `goldens_selection` from several times as many candidates, which are spread evenly over the data.

    The data are read twice, so that at most `count` samples are in memory.
    """
    answers: dict[int, list[Array]] = {}
    extents: list[tuple[Range, ...]] = []
    candidates = samples.places(_CANDIDATES * count)
    for index, sample in distinct(samples.stream(_CANDIDATES * count)):
        answers[index] = goldens_selection.signature(
            first_run.run(source, sample, samples, candidates[index])
        )
        extents.append(seen.see(sample))
    lone = goldens_selection.lone(extents, source.inputs)
    places = [index for at, index in enumerate(answers) if at not in lone]
    taken = {places[at] for at in goldens_selection.farthest([answers[index] for index in places], count)}
    return [sample for index, sample in enumerate(samples.stream(_CANDIDATES * count)) if index in taken]


def refuse_not_finite(
    outputs: Sequence[Array], counts: Sequence[Array], names: Sequence[str], origin: str,
    weights: Callable[[], Sequence[str]],
) -> None:  # fmt: skip
    """Raises ConversionError if the source's own outputs contain NaN or no finite value: nothing can be compared with those.

    Some infinities may be intended and are compared as such.

    Args:
        counts: from `counting`: values that do not count may be anything.
        weights: returns the names of the source's weights that contain NaN; called only if needed.
    """
    import numpy as np

    for index, (given, counted) in enumerate(zip(outputs, counts, strict=True)):
        if given.dtype.kind != "f" or not counted.any():
            continue
        output = np.where(counted, given, 0)
        if not np.isnan(output).any() and np.isfinite(given[counted > 0]).any():
            continue
        bad = [at for at, answer in enumerate(output) if not np.isfinite(answer).all()]
        name = names[index] if index < len(names) else f"output_{index}"
        what = "NaN" if np.isnan(output[bad]).any() else "infinity"
        raise ConversionError(
            f"output {name} is not finite in the source: {what} for {len(bad)} of {len(output)} golden inputs",
            hint=_cure(weights(), origin),
            code=Code.NOT_FINITE,
        )


def _cure(broken: Sequence[str], origin: str) -> str:
    if broken:
        return f"weights are not a number: {', '.join(broken[:5])}; train the model again, or restore an earlier state"
    if origin == "random":
        return "the model may not take random numbers; give a few real inputs: --calibration FILE"
    return "remove the samples on which the model answers so, or fix the model"


def refuse_constant(outputs: Sequence[Array]) -> None:
    """Raises ConversionError if all goldens have the same output: a comparison would prove nothing."""
    import numpy as np

    for output in outputs:
        flat = np.asarray(output, np.float64).reshape(len(output), -1)
        finite = np.isfinite(flat)
        if (finite != finite[0]).any() or (np.sign(flat) != np.sign(flat[0]))[~finite].any():
            return
        flat = np.where(finite, flat, 0.0)
        if np.max(np.abs(flat - flat[0]), initial=0.0) > _CONSTANT * np.max(np.abs(flat), initial=0.0):
            return
    raise ConversionError(
        f"the model gives the same output for all {len(outputs[0])} golden inputs",
        hint="give --calibration data like its real inputs, or --allow-constant if that is intended",
        code=Code.CONSTANT_MODEL,
    )


def save(path: Path, inputs: Sequence[Array], outputs: Sequence[Array], counts: Sequence[Array] = ()) -> None:
    """Writes `input_<i>`, `output_<i>` and, for outputs where some values do not count, `counts_<i>`; uncompressed.

    Equal arrays give equal bytes.
    """
    named = chain(
        ((f"input_{index}", array) for index, array in enumerate(inputs)),
        ((f"output_{index}", array) for index, array in enumerate(outputs)),
        ((f"counts_{index}", array) for index, array in enumerate(counts) if not array.all()),
    )
    write_npz(path, named)


def write_npz(path: Path | IO[bytes], members: Iterator[tuple[str, Array]]) -> None:
    """A deterministic, uncompressed `.npz`."""
    import numpy as np

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members:
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), buffer.getvalue())


def load(path: Path, inputs: int, outputs: int) -> tuple[list[Array], list[Array]]:
    """Reads what `save` wrote."""
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        return (
            [archive[f"input_{index}"] for index in range(inputs)],
            [archive[f"output_{index}"] for index in range(outputs)],
        )


def counted(path: Path, references: Sequence[Array]) -> list[Array]:
    """Boolean arrays of which reference values count: all, except where a member `counts_<i>` has 0."""
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        return [
            archive[name].astype(bool)
            if (name := f"counts_{index}") in archive.files
            else np.ones(array.shape, bool)
            for index, array in enumerate(references)
        ]


def _stacked(rows: Sequence[Sequence[Array]]) -> list[Array]:
    import numpy as np

    return [np.stack(column) for column in zip(*rows, strict=True)]
