"""The first run of a source: whether it runs, and whether its outputs repeat."""

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


_DETERMINISM = "determinism"  # what TensorFlow says of random operators without a seed, as its workers run it
_GIVE = "give a few real inputs: --calibration FILE"
_TURNS = 4  # samples that take all values of two conditions
_RUNS = 3  # what is drawn may be the same twice


def answers(model: Any, samples: SampleSet, path: Path) -> list[Array]:
    """The outputs for the first sample.

    Raises:
        ModelError: the source does not run, or answers one input differently each time: noise cannot be checked.
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
    """The outputs for one of the samples.

    Args:
        index: of the sample in the calibration data; None: it is not known.

    Raises:
        ModelError: the source does not run on it; an input that takes no random numbers is named.
    """
    try:
        return list(model.run(sample))
    except (MemoryError, EdgewrightError):
        raise
    except Exception as error:
        if samples.path is None and (names := _unfit(model, sample)):
            several = len(names) > 1
            raise ModelError(
                f"input{'s' if several else ''} {', '.join(names)} {'do' if several else 'does'} not take random numbers",
                hint=f"{_GIVE} (the model fails with {described(error)})",
                code=Code.RANDOM_INPUTS,
            ) from error
        origin = "random inputs"
        if samples.path is not None:
            origin = "the calibration data" if index is None else f"sample {index} of the calibration data"
            origin += f" {samples.path.name}"
        raise ModelError(
            f"model does not run on {origin}: {described(error)}",
            hint=_GIVE if samples.path is None else "check the values, and --input-shape",
            code=Code.MODEL_UNREADABLE,
        ) from error


def confirmed(model: Any, known: Domains) -> Domains:
    """What is known of the inputs; nothing where the model fails on those numbers and takes plain random ones.

    A misread graph must not refuse a model that converts without what was read in it. Floats make no model fail.
    """
    if not any(domain is not None and domain.integers for domain in known):
        return known
    single = any(math.prod(spec.shape) == 1 for spec in model.inputs)  # a condition takes its values in turn
    samples = list(random_samples(model.inputs, _TURNS if single else 1, known))
    highest = [list(map(_highest, sample, known)) for sample in samples]
    if all(_runs(model, sample) for sample in (samples[0], *highest)):
        return known
    if not _runs(model, next(random_samples(model.inputs, 1))):
        return known
    return (None,) * len(known)


def _highest(array: Array, domain: InputDomain | None) -> Array:
    """The last index of a table everywhere: a smaller table that was missed does not have it."""
    import numpy as np

    if domain is None or domain.cause != "lookup":
        return array
    most = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else domain.range[1]
    return np.full_like(array, min(domain.range[1], most))


def _unfit(model: Any, sample: Sequence[Array]) -> list[str]:
    """Names of the inputs that the model takes as zeros, but not as they are in the sample."""
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
