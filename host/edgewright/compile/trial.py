"""The first run of a source: whether it runs at all, and whether it answers the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile import changing
from edgewright.compile.calibrate import SampleSet
from edgewright.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


_DETERMINISM = "determinism"  # what TensorFlow says of random operators without a seed, as its workers run it
_RUNS = 3  # what is drawn may be the same twice


def answers(model: Any, samples: SampleSet, path: Path) -> list[Array]:
    """The outputs for the first sample.

    Raises:
        ModelError: the source does not run, or answers one input differently each time: noise cannot be checked.
        DataError: the calibration data do not fit.
    """
    sample = next(samples.stream(1))
    try:
        first, again, third = (model.run(sample) for _ in range(_RUNS))
    except Exception as error:
        if _DETERMINISM in str(error) and (drawn := changing.random(model.operators())):
            raise changing.draws(path, drawn) from error
        raise ModelError(
            f"model does not run on {_origin(samples)}: {_first_line(error)}",
            hint=_hint(samples),
            code="model-unreadable",
        ) from error
    if not all(_same(one, other) for rows in (again, third) for one, other in zip(first, rows, strict=True)):
        kept = model.buffers_that_change(sample) if hasattr(model, "buffers_that_change") else []
        raise changing.refusal(path, model.operators(), kept)
    return list(first)


def _origin(samples: SampleSet) -> str:
    return "random inputs" if samples.path is None else f"the calibration data {samples.path.name}"


def _hint(samples: SampleSet) -> str:
    if samples.path is not None:
        return "its values may be none that the model takes; --input-shape may not fit"
    return (
        "whole-number inputs are tried with numbers from 0 to 9; give --calibration data like its real inputs"
    )


def _same(one: Array, other: Array) -> bool:
    import numpy as np

    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype.kind not in "fc":
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:240].rstrip('.')}" if lines else type(error).__name__
