"""Figures of a verdict: decibels, and their rounding."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

EXACT_DB = 200.0  # stands for a noise of zero
LARGEST = 1e300  # stands for infinity, which JSON does not have
_UP = Context(prec=6, rounding=ROUND_CEILING)


def decibel(signal: float, noise: float) -> float:
    """10 log10(signal / noise), dB, between -200 and 200; -200 for a noise that is not finite."""
    if not math.isfinite(noise):
        return -EXACT_DB
    if noise == 0:
        return EXACT_DB
    if signal == 0:
        return -EXACT_DB
    return max(-EXACT_DB, min(EXACT_DB, 10 * (math.log10(signal) - math.log10(noise))))


def sqnr_db(reference: Array, output: Array) -> float:
    """10 log10(sum(ref^2) / sum((out - ref)^2)), dB, as `decibel`."""
    import numpy as np

    noise = float(np.sum(np.square(output - reference)))
    return decibel(float(np.sum(np.square(reference))), noise)


def plain(value: float) -> float:
    """Six significant digits: further digits are noise, and people read manifests."""
    return float(f"{min(LARGEST, max(-LARGEST, value)):.6g}")


def raised(limit: float) -> float:
    """A limit rounded up to six significant digits."""
    return float(_UP.create_decimal(Decimal(min(LARGEST, limit))))
