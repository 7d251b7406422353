"""Parity: how near an artifact's answers are to its source's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Parity
from edgewright.nouns.precision import Tolerance

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

EXACT_DB = 200.0  # stands for a noise of zero


class Unlike(ConversionError):
    """An artifact's answers stray further than its precision's tolerance. `parity` says how far."""

    code = "parity"

    def __init__(self, message: str, *, hint: str, parity: Parity) -> None:
        super().__init__(message, hint=hint)
        self.parity = parity


def compare(references: Sequence[Array], outputs: Sequence[Array]) -> Parity:
    """Compares outputs over all goldens.

    Args:
        references, outputs: one array an output, of shape (goldens, *spec.shape).
    """
    import numpy as np

    pairs = [
        (np.asarray(reference, np.float64), np.asarray(output, np.float64))
        for reference, output in zip(references, outputs, strict=True)
    ]
    first, answered = (array.reshape(len(array), -1) for array in pairs[0])
    return Parity(
        max_abs=_plain(max(_worst(reference, output) for reference, output in pairs)),
        max_relative=_plain(max(_relative(reference, output) for reference, output in pairs)),
        cosine=_plain(min(_cosine(reference, output) for reference, output in pairs)),
        sqnr_db=_plain(min(sqnr_db(reference, output) for reference, output in pairs)),
        top1_agreement=float(np.mean(first.argmax(axis=1) == answered.argmax(axis=1))),
        count=len(first),
    )


def sqnr_db(reference: Array, output: Array) -> float:
    """10 log10(sum(ref^2) / sum((out - ref)^2)), dB, at most 200; -200 for an output that is not finite."""
    import numpy as np

    noise = float(np.sum(np.square(output - reference)))
    signal = float(np.sum(np.square(reference)))
    if not math.isfinite(noise):
        return -EXACT_DB
    if noise == 0:
        return EXACT_DB
    return max(-EXACT_DB, min(EXACT_DB, 10 * math.log10(signal / noise))) if signal else -EXACT_DB


def check(parity: Parity, tolerance: Tolerance, what: str) -> None:
    """Raises Unlike when the artifact strays further than the tolerance."""
    if parity.sqnr_db >= tolerance.sqnr_db and parity.max_relative <= tolerance.relative:
        return
    raise Unlike(
        f"{what} answers differ from the source's: SQNR {parity.sqnr_db:.1f} dB "
        f"of at least {tolerance.sqnr_db:g}, "
        f"relative error {parity.max_relative:.3g} of at most {tolerance.relative:g}",
        hint="try a more exact precision, or calibration data that are like the model's real inputs",
        parity=parity,
    )


def _worst(reference: Array, output: Array) -> float:
    import numpy as np

    worst = float(np.max(np.abs(output - reference), initial=0.0))
    return worst if math.isfinite(worst) else 1e300


def _relative(reference: Array, output: Array) -> float:
    import numpy as np

    largest = float(np.max(np.abs(reference), initial=0.0))
    worst = _worst(reference, output)
    return min(1e300, worst / largest) if largest else min(worst, 1e300)


def _cosine(reference: Array, output: Array) -> float:
    """The smallest cosine over the goldens; two zero vectors agree."""
    import numpy as np

    left, right = reference.reshape(len(reference), -1), output.reshape(len(output), -1)
    product = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    dots = np.sum(left * right, axis=1)
    both_zero = (np.linalg.norm(left, axis=1) == 0) & (np.linalg.norm(right, axis=1) == 0)
    cosines = np.where(both_zero, 1.0, dots / np.where(product == 0, 1.0, product))
    return float(np.min(np.nan_to_num(cosines, nan=-1.0)))


def _plain(value: float) -> float:
    """Six significant digits: what is left is noise, and a manifest is for reading."""
    return float(f"{value:.6g}")
