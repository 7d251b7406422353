"""The first run of a source: checks that it runs and that its outputs repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data.calibration import SampleSet, random_samples
from edgewright.compile.data.input_domains import Domains, InputDomain
from edgewright.compile.sources import nondeterminism
from edgewright.compile.workers.framework_errors import described
from edgewright.errors import Code, EdgewrightError, ModelError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


_DETERMINISM = "determinism"  # in TensorFlow's error for random operators without a seed, when determinism is on as in our workers
_HINT = "give a few real inputs: --calibration FILE"
_CONDITION_SAMPLES = 4  # samples, enough for all combinations of two conditions
_RUNS = 3  # two random draws may be equal by chance


def answers(model: Any, samples: SampleSet, path: Path) -> list[Array]:
    """The outputs for the first sample.

    Raises:
        ModelError: the source does not run, or its outputs for the same input vary, so that no artifact can be compared with it.
        DataError: the calibration data do not fit.
    """
    sample = next(samples.stream(1))
    try:
        first, again, third = (run(model, sample, samples, 0) for _ in range(_RUNS))
    except ModelError as error:
        cause = error.__cause__
        if _DETERMINISM in str(cause) and (drawn := nondeterminism.random(model.operators())):
            raise nondeterminism.draws(path, drawn) from cause
        raise
    if not all(_same(one, other) for rows in (again, third) for one, other in zip(first, rows, strict=True)):
        kept = model.buffers_that_change(sample) if hasattr(model, "buffers_that_change") else []
        raise nondeterminism.refusal(path, model.operators(), kept)
    return list(first)


def run(model: Any, sample: Sequence[Array], samples: SampleSet, index: int | None = None) -> list[Array]:
    """The outputs for one sample.

    Args:
        index: the sample's index in the calibration data; None if unknown.

    Raises:
        ModelError: the source does not run on it; the error names inputs that reject random numbers.
    """
    try:
        return list(model.run(sample))
    except (MemoryError, EdgewrightError):
        raise
    except Exception as error:
        if samples.path is None and (names := _inputs_at_fault(model, sample)):
            several = len(names) > 1
            raise ModelError(
                f"input{'s' if several else ''} {', '.join(names)} {'do' if several else 'does'} not take random numbers",
                hint=f"{_HINT} (the model fails with {described(error)})",
                code=Code.RANDOM_INPUTS,
            ) from error
        origin = "random inputs"
        if samples.path is not None:
            origin = "the calibration data" if index is None else f"sample {index} of the calibration data"
            origin += f" {samples.path.name}"
        raise ModelError(
            f"model does not run on {origin}: {described(error)}",
            hint=_HINT if samples.path is None else "check the values, and --input-shape",
            code=Code.MODEL_UNREADABLE,
        ) from error


def confirmed(model: Any, known: Domains) -> Domains:
    """The known input domains; none if the model fails on values from them but runs on plain random ones.

    A misread graph must not block a model that would convert without the domains. Float domains are not tried: floats never make
    a model fail.
    """
    if not any(domain is not None and domain.integers for domain in known):
        return known
    single = any(
        math.prod(spec.shape) == 1 for spec in model.inputs
    )  # a condition takes each of its values in turn
    samples = list(random_samples(model.inputs, _CONDITION_SAMPLES if single else 1, known))
    highest = [list(map(_highest, sample, known)) for sample in samples]
    if all(_runs(model, sample) for sample in (samples[0], *highest)):
        return known
    if not _runs(model, next(random_samples(model.inputs, 1))):
        return known
    return (None,) * len(known)


def _highest(array: Array, domain: InputDomain | None) -> Array:
    """An array filled with the last index of a lookup table: it fails if a smaller table was overlooked."""
    import numpy as np

    if domain is None or domain.cause != "lookup":
        return array
    most = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else domain.range[1]
    return np.full_like(array, min(domain.range[1], most))


def _inputs_at_fault(model: Any, sample: Sequence[Array]) -> list[str]:
    """The inputs that the model accepts as zeros but not with the sample's values."""
    import numpy as np

    zeros = [np.zeros_like(array) for array in sample]
    if not _runs(model, zeros):
        return []
    return [
        spec.name
        for at, spec in enumerate(model.inputs)
        if not _runs(model, [*zeros[:at], sample[at], *zeros[at + 1 :]])
    ]


def _runs(model: Any, sample: Sequence[Array]) -> bool:
    try:
        model.run(sample)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a framework raises for it
        return getattr(error, "code", "") == Code.SHAPE_VARIES  # it ran
    return True


def _same(one: Array, other: Array) -> bool:
    import numpy as np

    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype.kind not in "fc":
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
