"""The first run of a source: whether it runs at all, and whether it answers the same twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.calibrate import SampleSet
from edgewright.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def answers(model: Any, samples: SampleSet, path: Path) -> list[Array]:
    """The outputs for the first sample.

    Raises:
        ModelError: the source does not run, or has two answers for one input: noise cannot be checked.
        DataError: the calibration data do not fit.
    """
    sample = next(samples.stream(1))
    try:
        first, again = model.run(sample), model.run(sample)
    except Exception as error:
        raise ModelError(
            f"model does not run on {_origin(samples)}: {_first_line(error)}",
            hint=_hint(samples),
            code="model-unreadable",
        ) from error
    if not _same(first, again):
        raise ModelError(
            f"{path.name} answers the same input differently each time",
            hint="it draws random numbers or keeps state between calls: export it for inference (PyTorch: module.eval())",
            code="model-random",
        )
    return list(first)


def _origin(samples: SampleSet) -> str:
    return "random inputs" if samples.path is None else f"the calibration data {samples.path.name}"


def _hint(samples: SampleSet) -> str:
    if samples.path is not None:
        return "its values may be none that the model takes; --input-shape may not fit"
    return (
        "whole-number inputs are tried with numbers from 0 to 9; give --calibration data like its real inputs"
    )


def _same(first: Sequence[Array], again: Sequence[Array]) -> bool:
    import numpy as np

    return all(
        np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
        for one, other in zip(first, again, strict=True)
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:240].rstrip('.')}" if lines else type(error).__name__
