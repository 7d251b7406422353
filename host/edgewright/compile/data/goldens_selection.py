"""Chooses the calibration samples that become goldens: those whose outputs lie far apart.

A sample whose *input* is far outside the range of all others, such as one broken sensor value, is left out: percentile and
entropy calibration clip such values on purpose, so a correct artifact gives a different output for it. A rare *output* for an
ordinary input, such as a class that only one sample has, is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import input_ranges
from edgewright.compile.data.input_ranges import Range
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_LEAST_SAMPLES = 32  # samples: in a smaller set, one sample is too large a share to count as an outlier
_LARGEST_OUTPUT = (
    256  # outputs of at most this many values are compared value by value; larger outputs by chunks
)
_CHUNKS = 96
_NORM = (
    4  # with a norm of 2, one value that rarely changes would drown among hundreds that always vary a little
)
_LEAST_SPREAD = 0.05  # of the standard deviation: the interquartile range is 0 if most outputs are equal
_DIGITS = 4  # of distances, so that a framework's threading does not change the choice


def signature(outputs: Sequence[Array]) -> list[Array]:
    """A summary of one sample's outputs: a short vector per output, however large the output is.

    For a large output, the mean and the extremes of each chunk: a mean alone would hide the one box that a detector found.
    """
    return [_short(output) for output in outputs]


def _short(output: Array) -> Array:
    import numpy as np

    flat = np.nan_to_num(np.asarray(output, np.float64).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
    if flat.size <= _LARGEST_OUTPUT:
        return flat
    starts = np.arange(_CHUNKS) * flat.size // _CHUNKS
    sizes = np.diff(np.append(starts, flat.size))
    found: Array = np.concatenate(
        [
            np.add.reduceat(flat, starts) / sizes,
            np.maximum.reduceat(flat, starts),
            np.minimum.reduceat(flat, starts),
        ]
    )
    return found


def lone(extents: Sequence[Sequence[Range]], specs: Sequence[TensorSpec]) -> set[int]:
    """Indexes of the samples that lie outside the range of all others by more than that range's width.

    Args:
        extents: for each sample, (least, greatest) of each input.
    """
    import numpy as np

    found: set[int] = set()
    if len(extents) < _LEAST_SAMPLES:
        return found
    for at, spec in enumerate(specs):
        if not input_ranges.counts(spec):
            continue
        low, high = np.array([[sample[at][0] for sample in extents], [sample[at][1] for sample in extents]])
        lowest, highest = int(np.argmin(low)), int(np.argmax(high))
        for one in {lowest, highest}:
            least, greatest = np.delete(low, one).min(), np.delete(high, one).max()
            width = greatest - least
            if width > 0 and (low[one] < least - width or high[one] > greatest + width):
                found.add(one)
    return found


def farthest(signatures: Sequence[list[Array]], count: int) -> list[int]:
    """Sorted indexes of `count` samples: the most typical one, then repeatedly the one farthest from those chosen.

    Each value is scaled by its own spread, and all outputs weigh the same, so that boxes in pixels do not hide scores.
    """
    import numpy as np

    points = np.concatenate([_scaled(np.stack(column)) for column in zip(*signatures, strict=True)], axis=1)
    taken = [int(np.argmin(_distances(points, points.mean(axis=0))))]
    nearest = _distances(points, points[taken[0]])
    while len(taken) < min(count, len(points)):
        nearest[taken] = -1.0  # equal outputs are 0 away and may still be chosen
        taken.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, _distances(points, points[taken[-1]]))
    return sorted(taken)


def _scaled(values: Array) -> Array:
    """Deviations from the median in units of the interquartile range, on a log scale: a rare output stands out among
    many values that vary a little, and how far out it is hardly matters."""
    import numpy as np

    deviation = values - np.median(values, axis=0)
    low, high = np.percentile(values, (25, 75), axis=0)
    spread = np.maximum(high - low, _LEAST_SPREAD * values.std(axis=0))
    real = spread > 1e-6 * np.abs(values).max(axis=0)
    units = np.where(real, deviation / np.where(real, spread, 1.0), 0.0)
    found: Array = np.sign(units) * np.log1p(np.abs(units)) / max(1, values.shape[1]) ** (1 / _NORM)
    return found


def _distances(points: Array, one: Array) -> Array:
    import numpy as np

    found: Array = np.round(((points - one) ** _NORM).sum(axis=1) ** (1 / _NORM), _DIGITS)
    return found
